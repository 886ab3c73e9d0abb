"""What the probe is asked to do for an item: a request that it takes, whatever a valid manifest says."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from building.items import arm, prepared, spec
from isobench.contracts.reasons import Reason
from isobench.contracts.spec import TimingSpec
from isobench.engine.probe_request import probe_request, seed_of
from isobench.engine.workspace import Workspace
from isobench.probe.request import parse_request

ITEM = Workspace(Path("/runs/r/i"))
PLACES = {"scratch": "/s", "output": "/o", "network": "none", "unreachable": [], "termination": None}

pairs = st.integers(8, 1000)
timings = st.builds(
    lambda one, other, **rest: TimingSpec(min_pairs=min(one, other), max_pairs=max(one, other), **rest),
    pairs,
    pairs,
    protocol=st.sampled_from(["blocks", "single"]),
    cores=st.integers(1, 64),
    warmup=st.integers(0, 20),
    precision=st.floats(1e-6, 0.99),
    margin=st.floats(1e-6, 0.99),
    timeout_seconds=st.integers(1, 10**6),
    run_timeout_seconds=st.integers(1, 10**6),
    memory_mib=st.integers(16, 10**6),
    scratch_mib=st.integers(1, 10**6),
    seed=st.none() | st.integers(0, 2**53 - 1),
    sockets=st.sampled_from(["none", "loopback"]),
)


@given(timings)
def test_the_probe_takes_whatever_a_valid_manifest_asks_for(timing):
    asked = probe_request(timing, prepared(), ITEM, list(range(timing.cores)), "run/item")
    request = parse_request(json.dumps(asked | PLACES))
    assert [one.name for one in request.arms] == ["base", "head", "main", "control"]
    assert request.limits.scratch_bytes == timing.scratch_mib * 2**20
    assert request.limits.max_pairs == timing.max_pairs


def test_only_arms_that_were_built_are_timed_and_compared():
    found = prepared(arm("base"), arm("head"), arm("main", reason=Reason.BUILD_FAILED), arm("agent"))
    asked = probe_request(spec().timing, found, ITEM, [1], "run/item")
    assert [one["name"] for one in asked["arms"]] == ["base", "head", "agent"]
    assert asked["primary"] == [["base", "head"], ["base", "agent"]]


def test_an_arm_may_read_its_own_environment_and_no_other_arms():
    asked = probe_request(spec().timing, prepared(), ITEM, [1], "run/item")
    for one in asked["arms"]:
        assert one["environment"]["VIRTUAL_ENV"] in one["readable"]
        assert one["python"].startswith(one["environment"]["VIRTUAL_ENV"])
        others = {other["environment"]["VIRTUAL_ENV"] for other in asked["arms"]} - {one["environment"]["VIRTUAL_ENV"]}
        assert others.isdisjoint(one["readable"])


def test_the_order_is_drawn_from_the_items_name_unless_a_seed_is_given():
    def seed(timing, identity):
        return probe_request(timing, prepared(), ITEM, [1], identity)["seed"]

    assert seed(TimingSpec(seed=42), "run/item") == 42
    assert seed(TimingSpec(), "run/item") == seed(TimingSpec(), "run/item") == seed_of("run/item")
    assert seed(TimingSpec(), "run/item") != seed(TimingSpec(), "run/other")
