"""A batch as it is run online: who is attempted, by which model, within which caps."""

import pytest

from building.items import batch, template
from isobench.engine.online import OnlineChoice, chosen
from isobench.engine.plan import items_of


def attempted(choice, commits=({"head": "a" * 40},), **shared):
    made = chosen(batch(commits=list(commits), template=template(**shared)), choice, "configured")
    return [(spec.attempted, spec.agent.model) for spec in items_of(made)]


def test_a_manifest_runs_as_it_says_where_nothing_is_chosen():
    made = batch(template=template(mode="online", agent={"enabled": True, "kind": "command", "command": ["x"]}))
    assert chosen(made, OnlineChoice(), "configured") == made
    assert chosen(batch(), OnlineChoice(), None) == batch()


def test_online_alone_attempts_only_what_opts_in():
    commits = [{"head": "a" * 40}, {"head": "b" * 40, "agent": {"enabled": True}}]
    assert attempted(OnlineChoice(mode="online"), commits) == [(False, "configured"), (True, "configured")]


def test_agent_all_attempts_everything_that_does_not_opt_out():
    commits = [{"head": "a" * 40}, {"head": "b" * 40, "agent": {"enabled": False}}]
    assert attempted(OnlineChoice(agent_all=True), commits) == [(True, "configured"), (False, "configured")]


def test_a_model_that_is_named_stays():
    assert attempted(OnlineChoice(agent_all=True), agent={"model": "own"}) == [(True, "own")]


def test_offline_chosen_attempts_nothing():
    assert attempted(OnlineChoice(mode="offline"), mode="online", agent={"enabled": True}) == [(False, None)]


@pytest.mark.parametrize("cap", [{"max_iterations": 3}, {"budget_usd": 0.0}, {"timeout_minutes": 1.5}])
def test_caps_that_are_chosen_replace_the_manifests(cap):
    (spec,) = items_of(chosen(batch(), OnlineChoice(**cap), None))
    ((name, value),) = cap.items()
    assert getattr(spec.agent, name) == value
