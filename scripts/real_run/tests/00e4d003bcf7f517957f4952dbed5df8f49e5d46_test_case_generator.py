"""Efficiency test of packaging 00e4d003: parsing requirements."""

import hashlib
import json
import time

from packaging.requirements import Requirement

ITERATIONS = 2
LINES = [f'demo-{i}[a,b]>=1.{i},<3,!=2.{i}.*; python_version >= "3.8" and sys_platform == "linux"' for i in range(150)]


def workload():
    return [str(Requirement(line)) for line in LINES]


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
