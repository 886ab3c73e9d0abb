"""Efficiency test of networkx 7c0a9987: square clustering of a dense random graph."""

import hashlib
import json
import time

import networkx as nx

ITERATIONS = 1
GRAPH = nx.gnp_random_graph(70, 0.35, seed=7)


def workload():
    return sorted((node, round(value, 12)) for node, value in nx.square_clustering(GRAPH).items())


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
