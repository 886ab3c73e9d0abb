"""Termination messages: always whole and small when written; when read, anything at all and never an exception."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building.items import NOON, result
from isobench.contracts.pod import PodResult
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import MESSAGE_BYTES, StageResult
from isobench.contracts.status import Artifacts, StageName
from isobench.engine.termination import LARGEST_READ, LARGEST_WRITTEN, message_of, parse, parse_pod

TIMING = StageName.TIMING


def written(**changes):
    return message_of(result(TIMING, **changes))


def test_what_is_written_is_read_again():
    ended = result(TIMING, reason=Reason.NETWORK_NOT_ISOLATED, message="the canary answers", facts={"a": 1})
    assert parse(message_of(ended), TIMING, 1) == ended


def test_a_command_that_is_no_stage_has_a_message_too():
    ended = PodResult(succeeded=True, message="two records", facts={"records": 2})
    assert parse_pod(message_of(ended)) == ended


@given(st.text(max_size=MESSAGE_BYTES), st.dictionaries(st.text(max_size=20), st.text(max_size=2000), max_size=3))
def test_whatever_it_says_a_message_is_small_and_whole(said, facts):
    artifacts = Artifacts(record_uri="s3://bucket/" + "r" * 700, journal_uri="s3://bucket/" + "j" * 700)
    text = written(reason=Reason.BUILD_FAILED, message=said, facts=facts, artifacts=artifacts)
    assert len(text.encode()) <= LARGEST_WRITTEN
    read = parse(text, TIMING, 1)
    assert isinstance(read, StageResult)
    assert (read.reason, read.finished_at) == (Reason.BUILD_FAILED, result(TIMING).finished_at)


def test_a_long_sentence_is_cut_before_the_addresses_of_the_record_are_lost():
    artifacts = Artifacts(record_uri="s3://bucket/" + "r" * 500, journal_uri="s3://bucket/" + "j" * 500)
    read = parse(written(message="ä" * MESSAGE_BYTES, artifacts=artifacts), TIMING, 1)
    assert isinstance(read, StageResult)
    assert read.artifacts == artifacts
    assert read.message.endswith("…")


def forged(**changes):
    return json.dumps(json.loads(written()) | changes)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (None, "it left no message"),
        ("", "it left no message"),
        ("x" * (LARGEST_READ + 1), "its message has 4097 characters and none of ours has"),
        ("{" * 10_000_000, "its message has 10000000 characters"),
        ("[" * LARGEST_READ, "its message is not whole JSON"),
        (written()[:-7], "its message is not whole JSON"),
        ("segmentation fault", "its message is not whole JSON"),
        ("[]", "its message: the document: "),
        ("null", "its message: the document: "),
        ('{"stage": NaN}', "its message is not whole JSON"),
        ("{}", "its message: stage: is required and missing"),
        (forged(stage="collect"), "its message speaks of collect 1, not of timing 1"),
        (forged(attempt=2), "its message speaks of timing 2, not of timing 1"),
        (forged(succeeded="perhaps"), "its message: succeeded: "),
        (forged(reason="Recorded"), "its message contradicts itself"),
        (forged(succeeded=False), "its message contradicts itself"),
        (forged(unknown=1), "its message: unknown: no such key"),
        (forged(started_at=1e400), "its message is not whole JSON"),
        (forged(cost={"measuredUsd": -1}), "its message: cost.measuredUsd: "),
        (forged(cost={"measured_usd": -1}), "its message: cost.measured_usd: "),
        ("\ud800", "its message is not whole JSON"),
    ],
    ids=lambda value: None if value is None else str(value)[:40].encode("unicode_escape").decode(),
)
def test_a_message_that_is_not_ours_is_a_fact_with_a_sentence(message, why):
    read = parse(message, TIMING, 1)
    assert isinstance(read, str)
    assert read.startswith(why)
    assert len(read) <= 300


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)).map(json.dumps))
def test_no_message_raises(message):
    assert isinstance(parse(message, TIMING, 1), str)
    assert isinstance(parse_pod(message), str)


def test_the_moments_of_a_result_survive():
    assert json.loads(written())["started_at"] == NOON.isoformat().replace("+00:00", "Z")
