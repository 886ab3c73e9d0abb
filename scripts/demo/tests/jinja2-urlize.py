"""Efficiency test: urlize a page of comments, some of which hold a word that almost looks like an e-mail address."""

import hashlib
import json
import time

from jinja2.utils import urlize

ITERATIONS = 1
SENTENCE = "See www.example.org (or http://example.com/a?b=c), mail someone@example.net, then come back. "


def comments(hostile: int, dots: int) -> list:
    """`hostile` comments of seven ordinary sentences and one word whose domain part never ends."""
    return [SENTENCE * 7 + f"a{index}@" + "a." * dots + "!" for index in range(hostile)]


def urlize_all(page: list) -> list:
    return [str(urlize(comment, rel="nofollow")) for comment in page]


urlize_all(comments(1, 10))

page = comments(10, 1200)
started = time.perf_counter()
for _ in range(ITERATIONS):
    result = urlize_all(page)
elapsed_ms = (time.perf_counter() - started) * 1000.0

digest = hashlib.sha256("\n".join(result).encode()).hexdigest()
print(json.dumps({"avg_ms": round(elapsed_ms / ITERATIONS, 9), "iterations": ITERATIONS, "result_sha256": digest}))
