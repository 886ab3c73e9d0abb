"""Efficiency test of jsonschema 4f8361fa: uniqueness of an array of objects."""

import hashlib
import json
import time

from jsonschema import Draft202012Validator

ITERATIONS = 1
ITEMS = [{"id": i, "tags": ["a", i % 3], "name": f"n{i}"} for i in range(220)]
VALIDATOR = Draft202012Validator({"type": "array", "uniqueItems": True})


def workload():
    return [VALIDATOR.is_valid(ITEMS), VALIDATOR.is_valid(ITEMS + ITEMS[-1:])]


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
