"""Memory does not grow with the number of items."""

import os

import pytest

from building.bench import Bench, events_of, told
from building.swift_history import write_long_history


def peak_memory(bench, name, repository, heads):
    """KiB at most that a run over these items had in memory; each ends at once, for want of a test."""
    manifest = bench.manifest(name, repository, [{"head": head} for head in heads])
    with bench.start("run", manifest, "--json") as process:
        ended = told(events_of(process.stdout.read()), "ItemEnded")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert [event["reason"] for event in ended] == ["NoTest"] * len(heads)
    return usage.ru_maxrss


@pytest.mark.slow
def test_a_thousand_items_take_hardly_more_memory_than_a_hundred(tmp_path):
    heads = write_long_history(tmp_path / "long", commits=1000)
    bench = Bench(tmp_path / "bench")

    hundred = peak_memory(bench, "hundred", tmp_path / "long", heads[:100])
    thousand = peak_memory(bench, "thousand", tmp_path / "long", heads)

    assert thousand <= 1.2 * hundred
