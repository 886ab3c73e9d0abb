"""Efficiency test of packaging 3803ce34: normalising project names."""

import hashlib
import json
import time

from packaging.utils import canonicalize_name

ITERATIONS = 4
NAMES = [
    f"{name}{i}" for name in ("zope.interface", "Flask_Login", "requests", "python-dateutil") for i in range(4_000)
]


def workload():
    return [canonicalize_name(name) for name in NAMES]


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
