"""A paid attempt is made once at most and charged once, whenever its supervisor is killed; the key stays put."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from building.attempts import TARGET
from building.paid import CALLS, CAP_USD, Paying
from building.paid_kills import ANSWER, ANSWER_USD, attempt, charged, kills
from llmserver import running_model

KILLS = 5
TESTS = Path(__file__).parents[2]


def test_an_attempt_pays_for_its_calls_and_not_a_cent_more_and_the_key_is_in_nothing_that_it_left(bench):
    bench.prepare()
    with running_model([ANSWER]) as provider:
        paying = Paying(bench, provider.base_url)
        ended = attempt(paying)
    assert (ended.succeeded, ended.facts) == (True, {"agent": "unverified"})
    assert len(provider.asked) == CALLS
    assert charged(paying) == Decimal(str(ended.cost.measured_usd)) == CALLS * ANSWER_USD
    assert (ended.cost.prompt_tokens, ended.cost.completion_tokens) == (CALLS * 20, CALLS * 50)
    assert 0 < ended.cost.estimate_usd <= CAP_USD
    assert bench.outcome.changed == [TARGET]
    assert {asked.headers["Authorization"] for asked in provider.asked} == {f"Bearer {paying.key}"}
    files = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if paying.key.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_killed_at_any_instant_it_resumes_and_is_charged_once(tmp_path, swift):
    struck = list(kills(tmp_path, swift, KILLS, seed=5))
    assert [kill.wrong for kill in struck] == [[]] * KILLS
    in_calls = [kill for kill in struck if kill.instant.startswith("in call")]
    assert [(kill.begun, kill.ended) for kill in in_calls] == [(True, "AlreadyStarted")] * 3
    assert all(kill.charged_usd > kill.provided_usd for kill in in_calls), "the call that was held costs its reserve"


def on_a_disk_that_fills(tmp_path, left):
    """What became of an attempt that left so many bytes, and of the same attempt once there was space."""
    (tmp_path / "item").mkdir()
    mount = 'mount -t tmpfs -o size=2m tmpfs "$1/item" && exec "$3" -m building.full_disk "$1" "$2"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", tmp_path, str(left)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run([*command, sys.executable], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["asked"] == CALLS, "nobody paid twice"
    assert (told["first"]["succeeded"], told["first"]["reason"]) == (False, "DiskFull")
    assert told["first"]["message"].endswith("No space left on device")
    assert Decimal(told["first"]["charged_usd"]) == Decimal(told["second"]["charged_usd"]) == CALLS * ANSWER_USD
    assert {life["cost"]["measured_usd"] for life in (told["first"], told["second"])} == {float(CALLS * ANSWER_USD)}
    return told["first"], told["second"]


def test_a_disk_that_is_full_when_the_journal_is_written_costs_nothing_more_and_loses_nothing(tmp_path):
    first, second = on_a_disk_that_fills(tmp_path, left=100_000)
    assert first["cost"] == second["cost"]
    assert (second["succeeded"], second["facts"]) == (True, {"agent": "unverified"})


def test_a_disk_without_room_for_the_word_that_it_ended_costs_nothing_more(tmp_path):
    _, second = on_a_disk_that_fills(tmp_path, left=0)
    assert (second["succeeded"], second["reason"]) == (False, "AlreadyStarted")
