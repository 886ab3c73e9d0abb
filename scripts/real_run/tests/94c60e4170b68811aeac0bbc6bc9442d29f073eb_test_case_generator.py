"""Efficiency test of jsonschema 94c60e41: validating nested objects."""

import hashlib
import json
import time

from jsonschema import Draft202012Validator

ITERATIONS = 12
LEAF = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"minimum": 0}}}
VALIDATOR = Draft202012Validator({"type": "array", "items": LEAF})
ITEMS = [{"a": i, "b": str(i), "c": i % 5 - 1} for i in range(150)]


def workload():
    return [error.message for error in VALIDATOR.iter_errors(ITEMS)]


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
