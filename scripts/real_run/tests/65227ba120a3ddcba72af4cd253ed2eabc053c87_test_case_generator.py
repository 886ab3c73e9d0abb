"""Efficiency test of rich 65227ba1: dividing a line of segments."""

import hashlib
import json
import time

from rich.segment import Segment

ITERATIONS = 30
SEGMENTS = [Segment(f"segment {i} ") for i in range(600)]
CUTS = list(range(15, 7_000, 15))


def workload():
    return ["".join(part.text for part in parts) for parts in Segment.divide(SEGMENTS, CUTS)]


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
