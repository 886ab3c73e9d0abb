"""From a manifest to items, and from an item to its stages and their deadlines."""

from itertools import product

import pytest

from building.items import BASE, HEAD, batch, heads, spec, template
from isobench.contracts.status import StageName
from isobench.engine.plan import items_of, plan_item

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
GENERATED = {"test": {"generate": {"provider": "local"}}}
ATTEMPTED = {"mode": "online", "agent": {"enabled": True}}


def stages(asked, *, test_supplied=False):
    return list(plan_item(spec(**asked), test_supplied=test_supplied).stages)


def test_an_offline_item_with_a_test_is_prepared_timed_and_collected():
    assert stages({}, test_supplied=True) == [PREPARE, TIMING, COLLECT]


def test_a_test_that_a_model_writes_is_validated_first():
    assert stages(GENERATED) == [PREPARE, GENERATE, VALIDATE, TIMING, COLLECT]


def test_no_model_is_asked_where_a_test_came_with_the_inputs():
    assert stages(GENERATED, test_supplied=True) == [PREPARE, TIMING, COLLECT]


def test_an_agent_is_paid_only_after_validation_and_only_when_opted_in_and_online():
    assert stages(ATTEMPTED) == [PREPARE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT]
    assert stages(ATTEMPTED | {"mode": "offline"}) == [PREPARE, TIMING, COLLECT]
    assert stages({"mode": "online"}) == [PREPARE, TIMING, COLLECT]


@pytest.mark.parametrize("asked", [one | other for one, other in product([{}, GENERATED], [{}, ATTEMPTED])])
def test_every_plan_ends_with_collect_and_each_stage_has_a_successor_until_then(asked):
    plan = plan_item(spec(**asked), test_supplied=False)
    passed = [plan.stages[0]]
    while passed[-1] is not COLLECT:
        passed.append(plan.after(passed[-1]))
    assert tuple(passed) == plan.stages


def test_deadlines_follow_from_what_the_item_asks_for():
    asked = spec(
        environment={"buildTimeoutSeconds": 100, "checkCommands": ["make test"]},
        agent={"timeoutMinutes": 2},
        timing={"timeoutSeconds": 500, "runTimeoutSeconds": 50},
    )
    plan = plan_item(asked, test_supplied=True)
    assert plan.deadline(BUILD_AGENT) == 100 + 6 * 50 + 2 * 100, "build, compare with base, and run the checks on both"
    assert plan.deadline(AGENT) == 120 + 300, "its room is made and looked at, too"
    assert plan.deadline(TIMING) == 550, "the last run may begin just before the item's time is over"
    assert plan.deadline(PREPARE) >= 4 * 100, "base, head, main and control are built one after another"
    assert all(plan.deadline(stage) > 0 for stage in StageName)


def test_items_come_in_the_batchs_order_with_what_the_template_says():
    shared = template(api="pandas", timing={"maxPairs": 30}, environment={"python": "3.11"})
    items = list(items_of(batch(heads(3), template=shared)))
    assert [item.commits.head for item in items] == heads(3)
    for item in items:
        assert (item.api, item.timing.max_pairs, item.environment.python) == ("pandas", 30, "3.11")
        assert item.repository.url == "https://host.example/owner/name.git"


def test_what_a_commit_gives_overrides_the_template():
    commit = {
        "head": HEAD,
        "base": BASE,
        "repository": {"url": "https://host.example/other/thing"},
        "environment": {"installCommands": ["make"]},
        "test": {"inline": "its own"},
        "agent": {"enabled": True},
        "model": "its/model",
    }
    shared = template(
        environment={"python": "3.11"}, test={"inline": "the template's"}, agent={"model": "a", "budgetUsd": 5}
    )
    own, plain = items_of(batch(commits=[commit, {"head": heads(1)[0]}], template=shared))
    assert own.commits.base == BASE
    assert own.repository.url.endswith("other/thing")
    assert (own.environment.install_commands, own.environment.python) == (["make"], None)
    assert own.test.inline == "its own"
    assert (own.agent.enabled, own.agent.model, own.agent.budget_usd) == (True, "its/model", 5)
    assert plain.commits.base is None
    assert (plain.test.inline, plain.environment.python) == ("the template's", "3.11")
    assert (plain.agent.enabled, plain.agent.model) == (False, "a")


def test_a_commit_can_opt_out_of_the_templates_agent():
    (item,) = items_of(
        batch(commits=[{"head": HEAD, "agent": {"enabled": False}}], template=template(agent={"enabled": True}))
    )
    assert item.agent.enabled is False


def test_the_dataset_is_named_after_the_batch_unless_the_template_names_one():
    (unnamed,) = items_of(batch())
    (named,) = items_of(batch(template=template(output={"dataset": "mine"})))
    assert (unnamed.output.dataset, named.output.dataset) == ("demo", "mine")


def test_a_commit_without_any_repository_is_refused_by_its_hash():
    with pytest.raises(ValueError, match=f"commit {HEAD} has no repository: give template.repository.url"):
        list(items_of(batch(template={})))
