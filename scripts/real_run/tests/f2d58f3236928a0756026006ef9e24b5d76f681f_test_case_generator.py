"""Efficiency test of more-itertools f2d58f32: splitting a list into even chunks."""

import hashlib
import json
import time

from more_itertools import chunked_even

ITERATIONS = 3
ITEMS = list(range(3_000))


def workload():
    return [sum(chunk) for size in (3, 7) for chunk in chunked_even(ITEMS, size)]


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
