"""Efficiency test of more-itertools ed4f9f3e: sliding and stepping windows over a long range."""

import hashlib
import json
import time

from more_itertools import windowed

ITERATIONS = 2


def workload():
    sliding = sum(window[0] * window[-1] for window in windowed(range(60_000), 5))
    stepping = sum(window[0] for window in windowed(range(60_000), 3, fillvalue=0, step=4))
    return sliding, stepping


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
