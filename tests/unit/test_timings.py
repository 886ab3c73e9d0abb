"""From the probe's result to durations and measurement."""

import json

import pytest

from building.items import MAIN, arm, prepared, spec
from isobench.contracts.reasons import Reason
from isobench.contracts.record import Measurement
from isobench.engine.timings import durations_of, measurement_of

TIMES_MS = {"base": 100.0, "head": 50.0, "main": 60.0, "control": 100.0}
BLOCKS = 20


def sample(block, name, printed_ms):
    # A little movement, so that no two times tie.
    printed_ms += 0.001 * (block % 5) + 0.0001 * len(name)
    return {
        "block": block,
        "position": 0,
        "arm": name,
        "start": 0.5,
        "printed_ms": printed_ms,
        "digit_ms": 0.0001,
        "iterations": 1,
        "wall_ms": printed_ms + 30,
        "cpu_ms": printed_ms + 25,
    }


def outcome(reason=None, message=""):
    return {"reason": reason, "message": message, "result_sha256": None, "output_tail": "the last words"}


def probed(times=TIMES_MS, blocks=BLOCKS, arms=None, **changes):
    """A result as the probe writes it: one warm-up block, then ``blocks``."""
    result = {
        "version": 1,
        "seed": 7,
        "cores": [3],
        "machine": {"cpu": "a model"},
        "isolation": {"before": {"interfaces": ["lo"]}, "after": {"interfaces": ["lo"]}},
        "looks": [],
        "stop": "Precise",
        "message": "",
        "dropped": [],
        "samples": [sample(block, name, ms) for block in range(-1, blocks) for name, ms in times.items()],
        "arms": {name: outcome() for name in times} | (arms or {}),
    }
    return json.loads(json.dumps(result | changes))


def measured(result, found=None, adapted=None):
    return measurement_of(result, spec().timing, found or prepared(), adapted or {})


def test_durations_are_the_printed_times_in_the_order_of_the_blocks_without_warm_up():
    durations = durations_of(probed(blocks=3))
    assert list(durations) == ["base", "head", "main", "control"]
    assert [len(values) for values in durations.values()] == [3, 3, 3, 3]
    assert durations["base"] == sorted(durations["base"])


def test_a_failed_arm_has_no_durations_although_some_runs_went_well():
    durations = durations_of(probed(arms={"main": outcome("TestFailed")}))
    assert durations["main"] == []
    assert len(durations["head"]) == BLOCKS


def test_a_measurement_says_verdict_comparisons_and_control():
    measurement = measured(probed())
    assert (measurement.verdict, measurement.reason) == ("faster", None)
    assert [comparison.arms for comparison in measurement.comparisons] == [("base", "head"), ("base", "main")]
    assert measurement.comparisons[0].pairs == BLOCKS
    assert measurement.control.speedup == pytest.approx(1, abs=0.001)
    assert measurement.notes == []


def test_a_measurement_says_how_it_came_about():
    measurement = measured(probed(dropped=[{"arm": "main", "reason": "TooSlow"}]))
    sampling = measurement.sampling
    assert (sampling.seed, sampling.blocks, sampling.warmup, sampling.stop) == (7, BLOCKS, 1, "Precise")
    assert (sampling.cores, sampling.dropped) == ([3], {"main": "TooSlow"})
    assert measurement.machine == {"cpu": "a model"}
    assert measurement.isolation["after"] == {"interfaces": ["lo"]}
    assert measurement.main_commit == MAIN


@pytest.mark.parametrize("failed", ["base", "head"])
def test_without_base_or_head_there_is_no_verdict_but_the_arms_reason_and_its_last_words(failed):
    measurement = measured(probed(arms={failed: outcome("OutOfMemory", "it asked for too much")}))
    assert measurement.verdict is None
    assert measurement.reason is Reason.OUT_OF_MEMORY
    assert f"{failed}: it asked for too much" in measurement.notes
    assert measurement.arms[failed].output_tail == "the last words"
    assert measurement.arms["main"].output_tail is None


@pytest.mark.parametrize("failed", ["main", "control"])
def test_a_secondary_arm_that_failed_does_not_take_the_verdict(failed):
    measurement = measured(probed(arms={failed: outcome("TestFailed", "status 1")}))
    assert (measurement.verdict, measurement.reason) == ("faster", None)
    assert measurement.arms[failed].reason is Reason.TEST_FAILED
    assert (measurement.control is None) == (failed == "control")
    assert ("base", "main") in [one.arms for one in measurement.comparisons] or failed == "main"


def test_an_arm_that_was_not_built_is_listed_with_why():
    found = prepared(
        arm("base"), arm("head"), arm("main", reason=Reason.BUILD_FAILED, message="no compiler"), notes=["left out"]
    )
    times = {name: TIMES_MS[name] for name in ("base", "head")}
    measurement = measured(probed(times), found)
    assert measurement.arms["main"].reason is Reason.BUILD_FAILED
    assert measurement.arms["main"].message == "no compiler"
    assert measurement.notes == ["left out"]
    assert measurement.verdict == "faster"


def test_too_few_blocks_are_too_slow_in_the_probes_words():
    measurement = measured(probed(blocks=0, stop="TooSlow", message="a block takes 900 s"))
    assert measurement.verdict is None
    assert measurement.reason is Reason.TOO_SLOW
    assert "a block takes 900 s" in measurement.notes


def test_times_that_are_no_measurement_have_their_reason_instead_of_a_verdict():
    measurement = measured(probed({name: ms / 1000 for name, ms in TIMES_MS.items()}))
    assert measurement.verdict is None
    assert measurement.reason is Reason.BELOW_RESOLUTION
    assert any(note.startswith("base:head: ") for note in measurement.notes)


def test_arms_with_different_results_are_not_equivalent():
    digests = {"base": "b" * 64, "head": "h" * 64, "main": "b" * 64, "control": "b" * 64}
    measurement = measured(
        probed(arms={name: outcome() | {"result_sha256": digest} for name, digest in digests.items()})
    )
    assert measurement.reason is Reason.NOT_EQUIVALENT
    assert measurement.arms["head"].result_sha256 == "h" * 64


def test_instructions_are_kept_where_they_were_counted_and_nothing_pretends_elsewhere():
    counted = probed(blocks=2)
    for one in counted["samples"]:
        one["instructions"] = 1000 + one["block"]
    assert measured(counted).instructions == {name: [1000, 1001] for name in TIMES_MS}
    assert measured(probed()).instructions is None


def test_rewritten_imports_are_told_per_arm_and_absent_without_any():
    rewrites = {"head": {"name.old": "name.new"}}
    assert measured(probed(), adapted=rewrites).adapted_imports == rewrites
    assert measured(probed()).adapted_imports is None


def test_a_measurement_is_strict_json_and_comes_back():
    measurement = measured(probed())
    written = json.dumps(measurement.model_dump(mode="json", exclude_none=True), allow_nan=False)
    assert Measurement.parse(json.loads(written), "a test") == measurement
