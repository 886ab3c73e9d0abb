"""Efficiency test of packaging 659955c8: sorting versions."""

import hashlib
import json
import time

from packaging.version import Version

ITERATIONS = 4
VERSIONS = [Version(f"{(i * 7919) % 40}.{(i * 31) % 50}.{i % 7}{'rc1' if i % 5 == 0 else ''}") for i in range(3000)]


def workload():
    return [str(version) for version in (min(VERSIONS), max(VERSIONS), *sorted(VERSIONS)[::100])]


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
