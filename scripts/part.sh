#!/usr/bin/env bash
# Runs one part of the checks and says how long it took: part.sh NAME COMMAND...
set -uo pipefail
name=$1
shift
started=$(date +%s)
"$@"
code=$?
echo "== $name: $(($(date +%s) - started)) s, exit code $code"
exit $code
