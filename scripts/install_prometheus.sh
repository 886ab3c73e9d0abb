#!/usr/bin/env bash
# Puts prometheus and promtool into isobench's cache, from Debian's package, without installing it: no service is started.
set -euo pipefail
folder=${ISOBENCH_TOOLS:-$HOME/.cache/isobench/tools}
if command -v promtool >/dev/null && command -v prometheus >/dev/null || [ -x "$folder/usr/bin/promtool" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "prometheus and promtool are missing: put them on PATH to test alerts and dashboards" >&2
    exit 0
fi
partial=$(mktemp -d)
trap 'rm -rf "$partial"' EXIT
cd "$partial"
[ "$(id -u)" != 0 ] || apt-get update --quiet=2
apt-get download --quiet=2 prometheus 2>/dev/null
dpkg-deb --extract prometheus_*.deb unpacked
mkdir -p "$folder/usr/bin"
mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool "$folder/usr/bin/"
