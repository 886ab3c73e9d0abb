"""A paid attempt is made once at most and charged once, whenever its supervisor is killed; the key stays put."""

from decimal import Decimal

import pytest

from building.attempts import TARGET
from building.paid import CALLS, CAP_USD, Paying
from building.paid_kills import ANSWER, ANSWER_USD, attempt, charged, kills
from llmserver import running_model

KILLS = 5


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
