"""Efficiency test of more-itertools 237388cc: picking short permutations of many items by index."""

import hashlib
import json
import time

from more_itertools import nth_permutation

ITERATIONS = 3


def workload():
    return [nth_permutation(range(160), 3, index * 9973) for index in range(200)]


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
