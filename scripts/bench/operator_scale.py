"""Measures what the operator costs beside the least that a client could do, on API servers with fake nodes.

    python scripts/bench/operator_scale.py [--items 300x3,1000x2,5000] [--limits raised,default] [--claims own,shared]

Needs root (the cluster lives in namespaces of its own). Each case runs three ways over the same number of items, all
submitted at once: Jobs alone, the floor (a bare client that decides nothing and repeats the writes which the operator
made for one item), and the operator in a process of its own. `300x3` is 300 items in three rounds: the floor and the
operator take turns, who begins changes, and medians are told, with the least and the most of the ratio. Each begins
with a cluster in which nothing has happened yet. Pods end as soon as they are placed, so that everything measured is
overhead. `limits` are the controller manager's own request limits: 20 a second by default, raised to 1,000. The
observer that takes the times watches in all three. Prints a table and, as its last line, the numbers as JSON. With
--restart N: how a new operator starts beside N objects instead.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from scale_cases import Case, Row, measure
from scale_restart import measure_restart

_HEAD = (
    "| limits | claim | items | what | items/s | of floor | overhead p50 / p99 ms | reads / writes an item"
    " | CPU s / 1,000 items | peak MB |\n|---|---|---|---|---|---|---|---|---|---|"
)


def table(rows: list[Row]) -> str:
    """The rows for people."""
    return "\n".join([_HEAD, *map(_line, rows)])


def _line(row: Row) -> str:
    floor = "" if row.of_floor is None else f"{row.of_floor:.0%} ({row.of_floor_least:.0%} to {row.of_floor_most:.0%})"
    requests = "" if row.writes is None else f"{row.reads:.1f} / {row.writes:.1f}"
    cpu = "" if row.cpu_seconds is None else f"{row.cpu_seconds:.1f}"
    memory = "" if row.peak_mb is None else f"{row.peak_mb:.0f}"
    times = f"{row.p50_ms:.0f} / {row.p99_ms:.0f}"
    return (
        f"| {row.limits} | {row.claim} | {row.items} | {row.what} | {row.items_a_second:.2f} | {floor} | {times}"
        f" | {requests} | {cpu} | {memory} |"
    )


async def run(asked: argparse.Namespace) -> None:
    """Measure what was asked for."""
    if asked.restart:
        print(json.dumps(await measure_restart(asked.restart)))
        return
    rows: list[Row] = []
    for limits in asked.limits.split(","):
        for claim in asked.claims.split(","):
            for items, rounds in map(_items_and_rounds, asked.items.split(",")):
                rows += await measure(Case(limits, claim, items, rounds))
                print(_line(rows[-1]), file=sys.stderr, flush=True)
    print(table(rows))
    print(json.dumps([asdict(row) for row in rows]))


def _items_and_rounds(asked: str) -> tuple[int, int]:
    items, _, rounds = asked.partition("x")
    return int(items), int(rounds or 1)


def main() -> None:
    """Read the flags and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", default="300x3,1000x2,5000")
    parser.add_argument("--limits", default="raised,default")
    parser.add_argument("--claims", default="own,shared")
    parser.add_argument("--smoke", action="store_true", help="20 items, raised limits, claims of their own")
    parser.add_argument("--restart", type=int, default=0, help="so many objects, a tenth of them in flight")
    asked = parser.parse_args()
    if asked.smoke:
        asked.items, asked.limits, asked.claims = "20", "raised", "own"
    uvloop.run(run(asked))


if __name__ == "__main__":
    main()
