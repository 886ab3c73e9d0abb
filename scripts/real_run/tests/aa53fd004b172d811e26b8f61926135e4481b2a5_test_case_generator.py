"""Efficiency test of jsonschema aa53fd00: an array that must contain a late item."""

import hashlib
import json
import time

from jsonschema import Draft202012Validator

ITERATIONS = 4
VALIDATOR = Draft202012Validator({"type": "array", "contains": {"type": "string"}, "minContains": 2})
ITEMS = [*range(1_500), "first", "second"]


def workload():
    return [VALIDATOR.is_valid(ITEMS), VALIDATOR.is_valid(ITEMS[:-1])]


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
