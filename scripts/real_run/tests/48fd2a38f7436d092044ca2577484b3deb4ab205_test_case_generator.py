"""Efficiency test of more-itertools 48fd2a38: taking the first item of many short lists."""

import hashlib
import json
import time

from more_itertools import first

ITERATIONS = 2
LISTS = [[i, i + 1] for i in range(60_000)]


def workload():
    return sum(first(items) for items in LISTS)


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
