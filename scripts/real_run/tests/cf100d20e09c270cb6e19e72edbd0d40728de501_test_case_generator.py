"""Efficiency test of packaging cf100d20: evaluating markers in the default environment."""

import hashlib
import json
import time

from packaging.markers import Marker

ITERATIONS = 3
MARKERS = [
    Marker(text)
    for text in ('python_version >= "3.8"', 'os_name == "nt"', 'sys_platform == "linux" and python_version < "4"')
]


def workload():
    return [marker.evaluate() for _ in range(250) for marker in MARKERS]


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
