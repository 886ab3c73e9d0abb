"""Efficiency test: match a list of file names against ignore patterns (code that the release did not touch)."""

import hashlib
import json
import time

from pathspec import PathSpec

ITERATIONS = 5
PATTERNS = [
    "*.py[cod]",
    "build/",
    "/dist/**",
    "!keep.pyc",
    "docs/_*/",
    "*.log",
    "tests/**/data-?.json",
    "# comment",
    "",
]
FILES = [
    f"{folder}/{name}{index}{suffix}"
    for folder in ("src/package", "build/lib", "dist/a/b", "docs/_build", "tests/unit/deep")
    for name in ("module", "data-")
    for index in range(150)
    for suffix in (".py", ".pyc", ".json", ".log")
]


def match_all() -> list:
    return sorted(PathSpec.from_lines("gitwildmatch", PATTERNS).match_files(FILES))


match_all()

started = time.perf_counter()
for _ in range(ITERATIONS):
    result = match_all()
elapsed_ms = (time.perf_counter() - started) * 1000.0

digest = hashlib.sha256("\n".join(result).encode()).hexdigest()
print(json.dumps({"avg_ms": round(elapsed_ms / ITERATIONS, 9), "iterations": ITERATIONS, "result_sha256": digest}))
