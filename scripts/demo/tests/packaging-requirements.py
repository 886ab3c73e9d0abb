"""Efficiency test: parse requirement lines as they stand in package metadata, and print them in canonical form."""

import hashlib
import json
import time

from packaging.requirements import Requirement

ITERATIONS = 5
LINES = [
    f"package_{index}[extra,test]>=1.{index},!=1.{index}.3,<3; "
    f"python_version >= '3.{index % 12}' and sys_platform == 'linux'"
    for index in range(150)
]


def canonical_lines() -> list:
    return [str(Requirement(line)) for line in LINES]


canonical_lines()

started = time.perf_counter()
for _ in range(ITERATIONS):
    result = canonical_lines()
elapsed_ms = (time.perf_counter() - started) * 1000.0

digest = hashlib.sha256("\n".join(result).encode()).hexdigest()
print(json.dumps({"avg_ms": round(elapsed_ms / ITERATIONS, 9), "iterations": ITERATIONS, "result_sha256": digest}))
