"""Efficiency test of networkx a5652a9d: building a large full binary tree."""

import hashlib
import json
import time

import networkx as nx

ITERATIONS = 1


def workload():
    tree = nx.full_rary_tree(2, 20_000)
    return tree.number_of_nodes(), sorted(tree.edges)


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
