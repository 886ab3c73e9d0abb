"""Efficiency test of sqlparse 5a3164d8: lexing many unterminated dollar quotes."""

import hashlib
import json
import time

from sqlparse import lexer

ITERATIONS = 1
SQL = "SELECT " + ",".join(f"$k{i}$" for i in range(1_000)) + " FROM t"


def workload():
    return [(str(kind), text) for kind, text in lexer.tokenize(SQL)]


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
