#!/usr/bin/env bash
# Runs the chart's and the cluster's tests on one cluster: one that is up stays up, else it is started and ended here.
# test_cluster.sh [BIN [KUBECONFIG]]: with a kubeconfig, those that any cluster can take, on that one; its settings are
# REGISTRY (a prefix of the images' names), TAG (dev) and STORE (an S3 server's address, with AWS_... keys).
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${1:-.venv/bin}")
part=scripts/part.sh
cluster() { (cd tests && "$bin/python" -m cluster "$@"); }
export -f cluster
export bin
if [ -n "${2:-}" ]; then
    export ISOBENCH_TEST_KUBECONFIG=$2
    exec $part "cluster tests" "$bin/pytest" -n 0 --durations=25 tests/cluster
fi
if [ "$(id -u)" != 0 ]; then
    echo "the cluster's tests need root, for namespaces, mounts and cgroups: sudo make test-cluster" >&2
    exit 1
fi
was_up=$(cluster status | grep -c '^state *up$')
if [ "$was_up" = 0 ]; then
    trap '$part "cluster down" bash -c "cluster down"' EXIT
fi
$part "cluster programs" bash -c "cluster build" &&
    $part "cluster up" bash -c "cluster up" &&
    $part "cluster images" bash -c "cluster images" || exit 1
failed=0
$part "chart tests" "$bin/pytest" -n 2 --dist loadfile --durations=15 tests/chart || failed=1
$part "cluster tests" "$bin/pytest" -n 0 --durations=25 tests/cluster || failed=1
exit $failed
