"""Efficiency test of networkx 544c3248: one shortest path along a long ladder."""

import hashlib
import json
import time

import networkx as nx

ITERATIONS = 1
GRAPH = nx.ladder_graph(2500)
for number, (u, v) in enumerate(sorted(GRAPH.edges)):
    GRAPH[u][v]["weight"] = 1 + (number * 7919) % 97


def workload():
    return nx.single_source_dijkstra(GRAPH, 0, target=2499)


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
