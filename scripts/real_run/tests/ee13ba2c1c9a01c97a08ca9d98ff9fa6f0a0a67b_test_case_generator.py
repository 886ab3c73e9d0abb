"""Efficiency test of packaging ee13ba2c: parsing plain release numbers."""

import hashlib
import json
import time

from packaging.version import Version

ITERATIONS = 4
TEXTS = [f"{major}.{minor}.{patch}" for major in range(10) for minor in range(20) for patch in range(30)]


def workload():
    return [Version(text).release for text in TEXTS]


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
