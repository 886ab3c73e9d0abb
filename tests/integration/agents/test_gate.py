"""Before an agent is paid: the test runs on base, and head is measurably faster. The probe is played."""

import pytest

from building.items import NOON, prepared, spec
from isobench.adapters.files import write_model
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageRequest
from isobench.contracts.status import StageName
from isobench.engine.workspace import Workspace
from isobench.stages import validate
from isobench.stages.timing import TimingPorts

FAST = {"base": 100.0, "head": 50.0, "control": 100.0}


class PlayedProbe:
    """Gives one run an arm, or blocks of samples; remembers which arms it was asked for."""

    def __init__(self, times, reason=None):
        self.times = times
        self.reason = reason
        self.asked = []

    def run(self, request, folder, seconds, progress):
        arms = [arm["name"] for arm in request["arms"]]
        self.asked.append((request["protocol"], arms))
        blocks = range(20) if request["protocol"] == "blocks" else range(1)
        told = {"message": "", "result_sha256": "ab", "output_tail": ""}
        return {
            "seed": 1, "cores": [0], "machine": {}, "isolation": {}, "stop": "Precise", "message": "", "dropped": [],
            "samples": [self.sample(block, arm) for block in blocks for arm in arms],
            "arms": {arm: told | {"reason": self.reason if arm == "base" else None} for arm in arms},
        }  # fmt: skip

    def sample(self, block, arm):
        printed = self.times[arm] + 0.001 * (block % 5) + 0.0001 * len(arm)
        return {
            "block": block, "arm": arm, "printed_ms": printed, "digit_ms": 0.0001, "iterations": 1,
            "wall_ms": printed + 30, "cpu_ms": printed + 25,
        }  # fmt: skip


def validated(tmp_path, probe, *, mode="online", **agent):
    workspace = Workspace(tmp_path)
    write_model(workspace.prepared, prepared())
    workspace.test.write_text("print(1)\n")
    asked = spec(mode=mode, agent={"enabled": True, "kind": "command", "command": ["x"], **agent})
    request = StageRequest(item_id="i", run_id="r", stage=StageName.VALIDATE, spec=asked, deadline_seconds=9.0)
    ports = TimingPorts(workspace, lambda: NOON, lambda prepared: probe, [0], lambda event: None)
    return validate.run(request, ports)


def test_a_head_that_is_faster_merits_an_agent(tmp_path):
    probe = PlayedProbe(FAST)
    ended = validated(tmp_path, probe)
    assert (ended.succeeded, ended.message) == (True, "head is 2x as fast as base")
    assert probe.asked == [("single", ["base"])] * 2 + [("blocks", ["base", "head", "control"])]


@pytest.mark.parametrize("head", [100.0, 150.0])
def test_a_head_that_is_not_costs_no_dollar(tmp_path, head):
    ended = validated(tmp_path, PlayedProbe(FAST | {"head": head}))
    assert ended.reason is Reason.HUMAN_NOT_FASTER
    assert ended.message.startswith("base:head is ")


def test_a_head_that_can_not_be_measured_costs_no_dollar_either(tmp_path):
    ended = validated(tmp_path, PlayedProbe(dict.fromkeys(FAST, 0.1)))
    assert ended.reason is Reason.HUMAN_NOT_FASTER
    assert "BelowResolution" in ended.message


def test_a_test_that_fails_on_base_is_told_first(tmp_path):
    probe = PlayedProbe(FAST, reason="TestFailed")
    assert validated(tmp_path, probe).reason is Reason.TEST_FAILED
    assert probe.asked == [("single", ["base"])]


@pytest.mark.parametrize("asked", [{"requireHumanSpeedup": False}, {"mode": "offline"}])
def test_nothing_is_timed_where_nobody_asks_for_it(tmp_path, asked):
    probe = PlayedProbe(FAST)
    assert validated(tmp_path, probe, **asked).succeeded
    assert probe.asked == [("single", ["base"])] * 2
