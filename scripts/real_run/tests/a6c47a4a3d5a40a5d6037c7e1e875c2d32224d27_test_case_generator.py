"""Efficiency test of more-itertools a6c47a4a: padding long ranges to a multiple."""

import hashlib
import json
import time

from more_itertools import padded

ITERATIONS = 2


def workload():
    return [sum(padded(range(200_000 + extra), 1, 64, next_multiple=True)) for extra in range(3)]


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
