"""Efficiency test: encode a batch of host names of which nearly half carry a long run of joiners."""

import hashlib
import json
import os
import random
import time

import idna

ITERATIONS = 1
JOINERS = 60
FIRST_LETTERS = "\u0628\u062a\u0633"
ORDINARY = ("www.example.com", "bücher.example", "пример.испытание", "例え.テスト")


def host_names(hostile: int) -> list:
    """`hostile` right-to-left labels (three different first letters), then the ordinary names twenty-four times."""
    labels = [FIRST_LETTERS[index % 3] + "a\u200c" * JOINERS + "\u0628" for index in range(hostile)]
    return labels + list(ORDINARY) * 24


def encode_all(names: list) -> list:
    encoded = []
    for name in names:
        try:
            encoded.append(idna.encode(name).hex())
        except idna.IDNAError:
            encoded.append("rejected")
    return encoded


encode_all(host_names(3))

names = host_names(80)
random.Random(int(os.environ.get("ISOBENCH_SEED", "0"))).shuffle(names)
started = time.perf_counter()
for _ in range(ITERATIONS):
    result = encode_all(names)
elapsed_ms = (time.perf_counter() - started) * 1000.0

digest = hashlib.sha256("\n".join(result).encode()).hexdigest()
print(json.dumps({"avg_ms": round(elapsed_ms / ITERATIONS, 9), "iterations": ITERATIONS, "result_sha256": digest}))
