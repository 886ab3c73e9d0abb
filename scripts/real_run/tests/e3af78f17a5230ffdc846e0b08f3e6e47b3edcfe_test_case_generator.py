"""Efficiency test of packaging e3af78f1: filtering versions by a wildcard."""

import hashlib
import json
import time

from packaging.specifiers import SpecifierSet
from packaging.version import Version

ITERATIONS = 3
VERSIONS = [Version(f"{major}.{minor}.{patch}") for major in range(4) for minor in range(16) for patch in range(25)]


def workload():
    return [str(version) for version in SpecifierSet("==3.10.*").filter(VERSIONS)]


def main():
    workload()
    results, elapsed = [], 0.0
    for _ in range(ITERATIONS):
        started = time.perf_counter()
        result = workload()
        elapsed += time.perf_counter() - started
        results.append(hashlib.sha256(repr(result).encode()).hexdigest())
    digest = hashlib.sha256("".join(results).encode()).hexdigest()
    avg_ms = round(elapsed * 1000 / ITERATIONS, 6)
    print(json.dumps({"avg_ms": avg_ms, "iterations": ITERATIONS, "result_sha256": digest}))


if __name__ == "__main__":
    main()
