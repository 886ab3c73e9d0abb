"""Efficiency test of networkx f750ce5b: reachability in a tournament."""

import hashlib
import json
import time

import networkx as nx

ITERATIONS = 2
GRAPH = nx.DiGraph((u, v) if (u * 31 + v * 17) % 5 else (v, u) for u in range(24) for v in range(u))


def workload():
    return [nx.tournament.is_reachable(GRAPH, source, 23 - source) for source in range(0, 24, 8)]


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
