"""Online on one machine, by the command line: attempts, their records, and what keeps an agent from being started."""

import pytest

from building.attempts import FASTER, SEEDED, TARGET
from building.bench import QUICK, Bench, events_of, strict_json, told

pytestmark = pytest.mark.slow

AGENT = {"kind": "command", "command": ["sh", "-c", FASTER], "requireHumanSpeedup": False, "timeoutMinutes": 2}
TARGETED = {**AGENT, "targets": [TARGET]}
SINGLE = {"protocol": "single"}


def manifest(bench, swift, name, commits, *, agent=AGENT, timing=SINGLE):
    return bench.manifest(name, swift.path, commits, test={"inline": SEEDED}, agent=agent, timing=timing)


def journal(bench, name, head):
    return strict_json((bench.items(name)[head] / "journal.json").read_text())


def test_an_attempt_becomes_a_record_and_every_attempt_at_a_pair_is_listed_in_it(bench: Bench, swift):
    commits = [{"head": swift.merged, "model": model} for model in ("one", "two")]
    path = manifest(bench, swift, "listed", commits, timing=QUICK)
    done = bench.run("run", path, "--agent-all", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = bench.rows("listed")
    assert (row["agent_success"], row["agent_iterations"]) == (True, 0)
    assert row["agent_branch"].startswith("agent/optimize-swift/")
    samples = row["measurement"]["samples"]
    assert [sample["model"] for sample in samples] == ["one", "two"]
    assert [sample["agent_success"] for sample in samples] == [True, True]
    for ended, sample in zip(told(events_of(done.stdout), "ItemEnded"), samples, strict=True):
        assert ended["result"]["agent_outcome"] == "succeeded"
        assert sample["run_id"].endswith(ended["item"])
        folder = bench.work / "state" / "runs" / sample["run_id"]
        assert strict_json((folder / "journal.json").read_text())["facts"]["agent"]["changed"] == [TARGET]
    assert (bench.work / row["agent_journal_path"]).is_file()
    again = bench.run("run", path, "--agent-all", "--json")
    assert told(events_of(again.stdout), "StageStarted") == []


def test_the_story_of_an_attempt_can_be_read(bench: Bench, swift):
    path = manifest(bench, swift, "story", [{"head": swift.merged, "agent": {"enabled": True}}])
    assert bench.run("run", path, "--mode=online").returncode == 0
    shown = bench.run("show", swift.merged[:8], "--agent")
    assert shown.returncode == 0, shown.stderr
    for said in (
        "command on agent/optimize-swift/",
        f"may change {TARGET}",
        "cost $0.0000",
        "succeeded: equal results",
    ):
        assert said in shown.stdout


def test_only_what_opts_in_is_attempted_and_an_online_record_replaces_an_offline_one(bench: Bench, swift):
    commits = [{"head": swift.merged}, {"head": swift.faster, "agent": {"enabled": True}}]
    path = manifest(bench, swift, "opted", commits)
    assert bench.run("run", path).returncode == 0
    assert ["agent_success" in row for row in bench.rows("opted")] == [False, False]
    assert bench.run("run", path, "--mode=online").returncode == 0
    assert ["agent_success" in row for row in bench.rows("opted")] == [False, True]


@pytest.mark.parametrize(
    ("agent", "error"),
    [
        ({**AGENT, "requireHumanSpeedup": True}, "HumanNotFaster: base:head is"),
        (
            {**TARGETED, "kind": "openhands", "model": "unheard-of"},
            ("AgentError: the agent openhands", "ModelUnpriced: "),
        ),
        ({**TARGETED, "command": ["sh", "-c", "exit 1"]}, "not_finished: it exited with 1"),
    ],
)
def test_an_item_goes_on_whatever_becomes_of_its_agent(bench: Bench, swift, agent, error):
    done = bench.run("run", manifest(bench, swift, "goes-on", [{"head": swift.neutral}], agent=agent), "--agent-all")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = bench.rows("goes-on")
    assert row["agent_error"].startswith(error)
    assert row["test_failed"] == "No"
    assert row.get("agent_success") is (False if "not_finished" in error else None)
    assert journal(bench, "goes-on", swift.neutral)["outcome"] == "Recorded"


def test_no_agent_runs_offline(bench: Bench, swift):
    path = manifest(bench, swift, "offline", [{"head": swift.merged}])
    refused = bench.run("run", path, "--agent-all", "--mode=offline")
    assert refused.returncode == 2
    assert "--agent-all needs --mode=online" in refused.stderr
