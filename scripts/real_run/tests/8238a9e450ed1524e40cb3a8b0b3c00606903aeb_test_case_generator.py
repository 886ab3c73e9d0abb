"""Efficiency test of sqlparse 8238a9e4: stripping comments that hold many Windows line breaks."""

import hashlib
import json
import time

import sqlparse

ITERATIONS = 3
BREAKS = "\r\n" * 13
SQL = "\n".join(f"SELECT {i} /* head {BREAKS} tail */ FROM t{i};" for i in range(4))


def workload():
    return sqlparse.format(SQL, strip_comments=True).split()


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
