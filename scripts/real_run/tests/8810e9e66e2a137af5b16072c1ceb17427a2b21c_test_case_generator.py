"""Efficiency test of packaging 8810e9e6: filtering versions by several specifiers."""

import hashlib
import json
import time

from packaging.specifiers import SpecifierSet
from packaging.version import Version

ITERATIONS = 3
VERSIONS = [Version(f"{major}.{minor}.{patch}") for major in range(5) for minor in range(15) for patch in range(12)]
SPECIFIERS = SpecifierSet("!=2.3.*,!=2.5.*,~=2.1,>=2.4,<2.9,!=2.7.1")


def workload():
    return [str(version) for version in SPECIFIERS.filter(VERSIONS)]


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
