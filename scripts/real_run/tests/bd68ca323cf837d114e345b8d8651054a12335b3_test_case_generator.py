"""Efficiency test of jsonschema bd68ca32: unevaluated properties next to branches that fail."""

import hashlib
import json
import time

from jsonschema import Draft202012Validator

ITERATIONS = 6
BRANCH = {"properties": {f"p{i}": {"type": "string"} for i in range(20)}, "required": [f"q{i}" for i in range(40)]}
VALIDATOR = Draft202012Validator({"anyOf": [BRANCH, BRANCH, {"type": "object"}], "unevaluatedProperties": False})
INSTANCE = {f"p{i}": i for i in range(20)}


def workload():
    return [sorted(error.message for error in VALIDATOR.iter_errors(INSTANCE)) for _ in range(6)]


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
