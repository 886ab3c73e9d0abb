"""Efficiency test of more-itertools 756e4c11: zipping iterables with scalars."""

import hashlib
import json
import time

from more_itertools import zip_broadcast

ITERATIONS = 2


def workload():
    rows = zip_broadcast("left", range(15_000), 3, 1.5, "mid", range(15_000), None, True, "right")
    return sum(row[1] * row[2] + row[5] for row in rows)


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
