"""Efficiency test of sqlparse 939b129e: grouping of deeply nested parentheses."""

import hashlib
import json
import time

import sqlparse

ITERATIONS = 3
DEPTH = 75
SQL = "SELECT " + "(" * DEPTH + "a + 1" + ")" * DEPTH + " FROM t WHERE " + "(" * DEPTH + "b = 2" + ")" * DEPTH


def workload():
    return [str(group) for statement in sqlparse.parse(SQL) for group in statement.get_sublists()]


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
