"""Efficiency test of sqlparse a51df6d9: reindenting a long list of tuples."""

import hashlib
import json
import time

import sqlparse

ITERATIONS = 2
SQL = "SELECT a FROM t WHERE (x, y) IN (" + ", ".join(f"({i}, {i + 1})" for i in range(110)) + ")"


def workload():
    return sqlparse.format(SQL, reindent=True)


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
