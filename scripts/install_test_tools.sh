#!/usr/bin/env bash
# Installs what `make test` needs of the system, where it is missing and root may install it; CLUSTER=1 adds what the
# test cluster is made of.
set -euo pipefail
wanted=(podman:podman runc:runc strace:strace)
if [ -n "${CLUSTER:-}" ]; then
    wanted+=(containerd:containerd /usr/lib/cni/bridge:containernetworking-plugins iptables:iptables)
    wanted+=(conntrack:conntrack ip:iproute2 openssl:openssl debootstrap:debootstrap buildah:buildah)
fi
missing=()
for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} = 0 ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed: ${missing[*]}: install them to run every test" >&2
    exit 0
fi
apt-get update --quiet=2
DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
