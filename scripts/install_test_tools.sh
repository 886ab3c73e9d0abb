#!/usr/bin/env bash
# Installs what `make test` needs of the system, where it is missing and root may install it: podman, runc, strace.
set -euo pipefail
if command -v podman >/dev/null && command -v runc >/dev/null && command -v strace >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "podman, runc or strace is missing: install them to test containers and to trace writes" >&2
    exit 0
fi
apt-get update --quiet=2
DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends podman runc strace >/dev/null
