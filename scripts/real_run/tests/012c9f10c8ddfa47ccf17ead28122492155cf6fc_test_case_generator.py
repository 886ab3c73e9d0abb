"""Efficiency test of sqlparse 012c9f10: parsing a script of everyday statements."""

import hashlib
import json
import time

import sqlparse

ITERATIONS = 3
SQL = "\n".join(
    f"SELECT a.id, b.name AS n{i}, COUNT(*) FROM accounts a LEFT JOIN books b ON a.id = b.account_id "
    f"WHERE a.kind = {i} AND b.title LIKE 'x%' GROUP BY a.id ORDER BY n{i} DESC;"
    for i in range(16)
)


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
