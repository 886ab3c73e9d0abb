"""Efficiency test: ask of many short groups whether their elements are all equal."""

import hashlib
import json
import time

from more_itertools import all_equal

ITERATIONS = 10
GROUPS = (
    [0, 0, 0],
    [1, 2, 3],
    ["a"],
    [],
    [5, 5, 6],
    (1, 1, 1, 1, 2),
    "aab",
    "cc",
    [None] * 4,
    range(5),
)


def judge_all(repetitions: int) -> str:
    verdicts = []
    for _ in range(repetitions):
        for group in GROUPS:
            verdicts.append("1" if all_equal(group) else "0")
    return "".join(verdicts)


judge_all(1800)

started = time.perf_counter()
for _ in range(ITERATIONS):
    result = judge_all(1800)
elapsed_ms = (time.perf_counter() - started) * 1000.0

digest = hashlib.sha256(result.encode()).hexdigest()
print(json.dumps({"avg_ms": round(elapsed_ms / ITERATIONS, 9), "iterations": ITERATIONS, "result_sha256": digest}))
