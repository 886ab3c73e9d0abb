"""Efficiency test of sqlparse a3e19f1c: parsing one statement with thousands of tokens."""

import hashlib
import json
import time

import sqlparse

ITERATIONS = 1
SQL = "INSERT INTO t VALUES " + ", ".join(f"({i}, 'v{i}')" for i in range(450))


def workload():
    return [(str(token.ttype), str(token)) for statement in sqlparse.parse(SQL) for token in statement.flatten()]


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
