"""Efficiency test of sqlparse b9588d97: grouping, in a commit that changes only benchmark scripts."""

import hashlib
import json
import time

import sqlparse

ITERATIONS = 3
SQL = "SELECT " + ", ".join(f"f{i}(a.c{i}) AS x{i}" for i in range(60)) + " FROM t a WHERE a.k = 1"


def workload():
    return sqlparse.format(SQL, reindent=True, keyword_case="upper")


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
