"""Exactly one outcome per attempt, by precedence; everything else that held is listed."""

from itertools import combinations

import pytest

from isobench.contracts.attempt import AgentOutcome, Attempt
from isobench.contracts.reasons import Reason
from isobench.engine.agent_end import AgentEnd
from isobench.engine.agent_outcome import Check, Evidence, Verification, judge, reason_of, verification_of, verified

FINE = Verification(None, "equal results")
HONEST = {"end": AgentEnd("finished"), "changed": ["a.py"], "verification": FINE}
WRONGS = [
    (AgentOutcome.TAMPERED, {"tampering": ["the hook was installed"]}),
    (AgentOutcome.LLM_UNAUTHORIZED, {"end": AgentEnd("llm_unauthorized", "401")}),
    (AgentOutcome.CRASHED, {"stopped": "it wrote too much"}),
    (AgentOutcome.TIMED_OUT, {"stopped": "time", "out_of_time": True}),
    (AgentOutcome.OFF_TARGET, {"off_target": ["b.py"]}),
    (AgentOutcome.NO_CHANGE, {"changed": []}),
    (AgentOutcome.UNVERIFIED, {"verification": Verification("no seed")}),
]


def test_an_honest_attempt_succeeded():
    judgement = judge(Evidence(**HONEST))
    assert (judgement.outcome, judgement.message) == (AgentOutcome.SUCCEEDED, "equal results")


@pytest.mark.parametrize(("outcome", "wrong"), WRONGS, ids=[outcome for outcome, _ in WRONGS])
def test_each_wrong_alone_is_the_outcome(outcome, wrong):
    assert judge(Evidence(**HONEST | wrong)).outcome is outcome


@pytest.mark.parametrize(
    "pair", [pair for pair in combinations(WRONGS, 2) if not pair[0][1].keys() & pair[1][1].keys()]
)
def test_of_two_wrongs_the_first_in_order_is_the_outcome_and_both_are_listed(pair):
    (first, one), (second, other) = pair
    judgement = judge(Evidence(**HONEST | one | other))
    assert judgement.outcome is first
    if {first, second} != {AgentOutcome.NO_CHANGE, AgentOutcome.UNVERIFIED}:  # nothing was there to be checked
        assert second in {finding.outcome for finding in judgement.held}


@pytest.mark.parametrize(
    "how", ["stuck", "not_finished", "budget_exhausted", "iterations_exhausted", "llm_unavailable"]
)
def test_a_way_to_end_is_an_outcome_of_that_name(how):
    assert judge(Evidence(**HONEST | {"end": AgentEnd(how)})).outcome == how


def test_an_agent_that_was_ended_for_its_time_did_not_crash():
    judgement = judge(Evidence(**HONEST | {"end": AgentEnd("crashed"), "stopped": "time", "out_of_time": True}))
    assert [finding.outcome for finding in judgement.held] == [AgentOutcome.TIMED_OUT, AgentOutcome.SUCCEEDED]


def test_a_patch_that_was_not_tried_is_unverified():
    assert judge(Evidence(**HONEST | {"verification": None})).outcome is AgentOutcome.UNVERIFIED


def test_evidence_is_bounded():
    judgement = judge(Evidence(**HONEST | {"off_target": [f"{number}" * 1000 for number in range(9999)]}))
    assert len(judgement.held) == 50
    assert max(len(finding.evidence) for finding in judgement.held) == 500


@pytest.mark.parametrize(
    ("checks", "doubt", "refuted"),
    [
        ([Check(proof="a")], None, False),
        ([Check(lack="no seed"), Check(proof="b")], None, False),
        ([Check(lack="no seed"), Check(lack="no commands")], "no seed; no commands", False),
        ([Check(proof="a"), Check(objection="wrong")], "wrong", True),
        ([], "nothing could be checked", False),
    ],
)
def test_one_objection_suffices_and_without_any_one_proof_does(checks, doubt, refuted):
    verification = verification_of(checks)
    assert (verification.doubt, verification.refuted) == (doubt, refuted)


@pytest.mark.parametrize("verification", [FINE, Verification("differs", refuted=True)])
def test_trying_the_patch_decides_the_outcome_that_was_open(verification):
    judgement = judge(Evidence(**HONEST | {"verification": None}))
    attempt = Attempt(
        outcome=judgement.outcome, message=judgement.message, held=list(judgement.held),
        kind="command", branch="agent/x/1", targets=["a.py"],
    )  # fmt: skip
    tried = verified(attempt, verification)
    assert tried.success is (verification is FINE)
    assert tried.message == (verification.doubt or verification.evidence)
    assert len(tried.held) == 1


def test_what_the_patch_did_to_the_other_arms_comes_before_all_else_that_held():
    judgement = judge(Evidence(**HONEST | {"verification": None, "off_target": ["b.py"]}))
    attempt = Attempt(
        outcome=judgement.outcome, message=judgement.message, held=list(judgement.held),
        kind="command", branch="agent/x/1", targets=["a.py"],
    )  # fmt: skip
    tried = verified(attempt, Verification("base's environment changed", refuted=True, tampered=True))
    assert (tried.outcome, tried.message) == (AgentOutcome.TAMPERED, "base's environment changed")
    assert [finding.outcome for finding in tried.held] == [AgentOutcome.TAMPERED, AgentOutcome.OFF_TARGET]


def test_reasons_say_whose_matter_an_outcome_is():
    assert reason_of(AgentOutcome.BUDGET_EXHAUSTED) is Reason.BUDGET_EXHAUSTED
    assert reason_of(AgentOutcome.LLM_UNAUTHORIZED) is Reason.MODEL_UNAUTHORIZED
    assert reason_of(AgentOutcome.TAMPERED) is Reason.AGENT_ERROR
