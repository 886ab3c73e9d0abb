"""Whole measurements: blocks, looks, stops, dropped arms, progress, and what is in the result."""

import json
import os
from collections import Counter
from itertools import groupby

import pytest
from probe_bench import SOUND, Bench, Ending

PAIR = {"protocol": "blocks", "primary": [["base", "head"]]}


def slow(seconds: float) -> str:
    return f"import time\ntime.sleep({seconds})\nprint('{{\"avg_ms\": {seconds * 1000}}}')"


def blocks_of(ending: Ending) -> list[list[str]]:
    return [[sample["arm"] for sample in group] for _, group in groupby(ending.samples, lambda s: s["block"])]


def test_blocks_hold_every_arm_once_and_warm_up_blocks_are_marked(bench: Bench) -> None:
    ending = bench.run(bench.request(dict.fromkeys(("base", "head", "main"), SOUND), **PAIR, limits={"warmup": 2}))
    blocks = blocks_of(ending)
    assert all(sorted(block) == ["base", "head", "main"] for block in blocks)
    assert sorted({sample["block"] for sample in ending.samples}) == list(range(-2, 8))
    assert len({tuple(block) for block in blocks}) > 1
    assert ending.result is not None
    assert ending.result["stop"] in ("MaxPairs", "Precise", "Same")


def test_the_same_seed_gives_the_same_order(bench: Bench) -> None:
    request = bench.request(dict.fromkeys(("base", "head"), SOUND), **PAIR)
    assert blocks_of(bench.run(request)) == blocks_of(bench.run(request))


def test_a_clear_difference_stops_at_the_first_look(bench: Bench) -> None:
    scripts = {"base": "print('Execution time: 0.001000s')", "head": "print('Execution time: 0.000500s')"}
    ending = bench.run(bench.request(scripts, **PAIR, limits={"min_pairs": 10, "max_pairs": 160}))
    assert ending.result is not None
    assert (ending.result["stop"], len(ending.result["looks"])) == ("Precise", 1)
    interval = ending.result["looks"][0]["comparisons"]["base:head"]
    assert (interval["pairs"], round(interval["estimate"], 4)) == (10, 0.6931)


def test_progress_is_told_after_every_block(bench: Bench) -> None:
    ending = bench.run(bench.request(dict.fromkeys(("base", "head"), SOUND), **PAIR))
    assert [(event["event"], event["block"], event["pairs"]) for event in ending.events] == [
        ("block", number, number + 1) for number in range(8)
    ]
    assert ending.events[6]["comparisons"] == {"base:head": None}
    assert ending.events[7]["comparisons"]["base:head"]["pairs"] == 8


def test_a_sample_tells_when_it_ran_what_it_printed_and_what_it_cost(bench: Bench) -> None:
    script = 'import time\nsum(range(10**6))\nprint(\'{"avg_ms": 1.25, "iterations": 4}\')'
    [sample] = bench.time(script).samples
    assert (sample["arm"], sample["block"], sample["position"]) == ("base", 0, 0)
    assert (sample["printed_ms"], sample["digit_ms"], sample["iterations"]) == (1.25, 0.01, 4)
    assert sample["start"] >= 0
    assert sample["wall_ms"] > 5
    assert 5 < sample["cpu_ms"] < sample["wall_ms"] * 1.5


def test_cpu_time_of_children_counts(bench: Bench) -> None:
    script = """
    import subprocess, sys
    burn = "import time\\nwhile time.process_time() < 0.4: pass"
    subprocess.run([sys.executable, "-c", burn])
    print('{"avg_ms": 1}')
    """
    assert bench.time(script).samples[0]["cpu_ms"] > 400


@pytest.mark.parametrize("failing", ["main", "control", "agent", "head"])
def test_an_arm_that_fails_is_dropped_and_the_rest_goes_on(bench: Bench, failing: str) -> None:
    scripts = dict.fromkeys(("base", "head", "main", "agent", "control"), SOUND) | {failing: "raise SystemExit(3)"}
    request = bench.request(scripts, protocol="blocks", primary=[["base", "head"], ["base", "agent"]])
    ending = bench.run(request)
    assert ending.result is not None
    assert ending.arm(failing)["reason"] == "TestFailed"
    assert ending.result["dropped"] == [{"arm": failing, "reason": "TestFailed"}]
    assert set(Counter(sample["arm"] for sample in ending.samples).values()) == {9}


@pytest.mark.parametrize("failing", ["base", "head"])
def test_without_a_primary_comparison_timing_ends_at_once(bench: Bench, failing: str) -> None:
    scripts = dict.fromkeys(("base", "head", "main"), SOUND) | {failing: "raise SystemExit(3)"}
    ending = bench.run(bench.request(scripts, **PAIR))
    assert ending.exit_code == 0
    assert ending.result is not None
    assert (ending.result["stop"], ending.events) == ("ArmFailed", [])
    assert failing in ending.result["message"]


def test_arms_give_way_when_the_time_is_short(bench: Bench) -> None:
    scripts = dict.fromkeys(("base", "head", "main", "control"), slow(0.12))
    ending = bench.run(bench.request(scripts, **PAIR, limits={"item_seconds": 4.5}))
    assert ending.result is not None
    dropped = [entry["arm"] for entry in ending.result["dropped"]]
    assert dropped[:1] == ["main"]
    assert {entry["reason"] for entry in ending.result["dropped"]} == {"TooSlow"}
    assert ending.result["stop"] in ("MaxPairs", "TimeLimit", "Precise", "Same")


def test_a_test_that_is_too_slow_for_five_pairs_is_not_timed(bench: Bench) -> None:
    scripts = dict.fromkeys(("base", "head"), slow(0.3))
    ending = bench.run(bench.request(scripts, **PAIR, limits={"item_seconds": 1.5}))
    assert ending.result is not None
    assert (ending.result["stop"], ending.events) == ("TooSlow", [])
    assert "limits.item_seconds" in ending.result["message"]


def test_single_runs_every_arm_once_in_the_order_given(bench: Bench) -> None:
    scripts = {"head": SOUND, "base": "raise SystemExit(1)", "main": SOUND}
    ending = bench.run(bench.request(scripts))
    assert ending.result is not None
    assert [(sample["arm"], sample["block"]) for sample in ending.samples] == [("head", 0), ("main", 0)]
    assert (ending.result["stop"], ending.result["looks"], ending.events) == ("Complete", [], [])
    assert (ending.arm("base")["reason"], ending.arm("main")["reason"]) == ("TestFailed", None)


def test_the_result_describes_the_machine(bench: Bench) -> None:
    result = bench.time(SOUND).result
    assert result is not None
    machine = result["machine"]
    assert (machine["arch"], machine["kernel"]) == (os.uname().machine, os.uname().release)
    assert machine["cores"] == os.cpu_count()
    assert set(machine) >= {"cpu_model", "governor", "load", "memory_limit_bytes", "cpu_limit"}
    assert (result["version"], result["seed"]) == (1, 20)


def test_the_summary_fits_into_a_termination_message(bench: Bench) -> None:
    termination = bench.path("termination")
    scripts = dict.fromkeys(("base", "head", "main", "agent", "control"), SOUND)
    request = bench.request(scripts, **PAIR, termination=str(termination))
    bench.run(request)
    text = termination.read_bytes()
    assert len(text) <= 2048
    assert json.loads(text)["pairs"] == 8


def test_a_listener_that_goes_away_does_not_end_the_measurement(bench: Bench) -> None:
    deaf = ("sh", "-c", '"$@" | head -n 1', "sh")
    ending = bench.run(bench.request(dict.fromkeys(("base", "head"), SOUND), **PAIR), before=deaf)
    assert len(ending.events) == 1
    assert ending.result is not None
    assert len(blocks_of(ending)) == 9
