"""Efficiency test of rich 46150cdb: measuring long lines of single-width text."""

import hashlib
import json
import time

from rich.cells import cell_len

ITERATIONS = 3
LINES = [f"line {i} " + "plain text of a log " * 40 for i in range(200)]


def workload():
    return [cell_len(line) for line in LINES]


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
