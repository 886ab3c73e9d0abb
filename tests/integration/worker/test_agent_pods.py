"""An attempt through its pods: the agent beside the supervisor, its arm beside base and head, all in the store."""

import pytest

from building.attempts import FASTER, SEEDED, TARGET
from building.pods import ITEM_ID, RUN_ID, asked, may_mount, pods_of, status_after, strict
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName

pytestmark = pytest.mark.slow

COMMAND = {"enabled": True, "kind": "command", "timeoutMinutes": 5, "requireHumanSpeedup": False}
SEEN = "cat /proc/*/environ | tr '\\0' '\\n'; ls /; cat $ISOBENCH_TASK"


@pytest.fixture(scope="module")
def attempted(swift, tmp_path_factory):
    """The item's store, its pods' endings by stage, and its workspace. Only looked at."""
    store = tmp_path_factory.mktemp("store")
    agent = COMMAND | {"command": ["sh", "-c", f"{SEEN}; {FASTER}"]}
    spec = asked(swift, store, mode="online", agent=agent, test={"inline": SEEDED})
    with pods_of(spec) as pods:
        ended = {StageName.PREPARE: pods.prepare()}
        ended[StageName.AGENT] = beside(pods, "agent", StageName.AGENT)
        ended[StageName.BUILD_AGENT] = beside(pods, "build-agent", StageName.BUILD_AGENT)
        pods.cut_off()
        ended[StageName.TIMING] = pods.time()
        ended[StageName.COLLECT] = pods.collect(status_after(*list(ended)))
        yield store / "runs" / RUN_ID / ITEM_ID, ended, pods


def beside(pods, command, stage, attempt=1):
    """One pod: the tools are placed, the environment's container runs, the stage ends."""
    request = pods.pod(stage, attempt)
    placed = pods.run("place", request)
    assert placed.code == 0, placed.log
    with pods.beside(request):
        return pods.run(command, request)


def test_every_pod_ends_well(attempted):
    _, ended, _ = attempted
    assert {stage: pod.code for stage, pod in ended.items()} == dict.fromkeys(ended, 0), [e.log for e in ended.values()]
    assert ended[StageName.AGENT].result(StageName.AGENT).facts == {"agent": "unverified"}
    assert ended[StageName.BUILD_AGENT].result(StageName.BUILD_AGENT).facts == {"agent": "succeeded"}


def test_the_agents_arm_is_timed_beside_the_others(attempted):
    store, ended, _ = attempted
    compared = {tuple(found["arms"]) for found in strict(store / "record.json")["measurement"]["comparisons"]}
    assert ("base", "agent") in compared
    assert ended[StageName.TIMING].result(StageName.TIMING).result.agent_outcome == "succeeded"


def test_record_and_journal_tell_of_the_attempt(attempted):
    store, _, _ = attempted
    record, journal = strict(store / "record.json"), strict(store / "journal.json")
    assert (record["agent_success"], "agent_error" in record) == (True, False)
    assert record["agent_journal_path"] == f"runs/{RUN_ID}/{ITEM_ID}/journal.json"
    assert journal["facts"]["agent"]["changed"] == [TARGET]
    stored = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    assert {
        *("prompt.json", "task.txt", "openhands_stdout.txt", "openhands_stderr.txt", "model_patch.diff"),
        *("prediction.jsonl", "agent/outcome.json", "agent/1/ended.json", "ledger/agent-1.started"),
    } <= stored


def test_the_agent_saw_nothing_of_the_head_commit(attempted, swift):
    store, _, pods = attempted
    printed = (store / "openhands_stdout.txt").read_text() + (store / "openhands_stderr.txt").read_text()
    assert TARGET in printed, "it read its task"
    for secret in (swift.merged, swift.merged[:8], "Halve", RUN_ID, ITEM_ID):
        assert secret not in printed
    assert list((pods.workspace / "agents").iterdir()) == []


@pytest.mark.skipif(not may_mount(), reason="this user may mount nothing")
@pytest.mark.parametrize(
    ("command", "stage", "allowed"),
    [("place", StageName.AGENT, "agents"), ("place", StageName.BUILD_AGENT, "environments"), ("isolate", None, None)],
)
def test_beside_a_stage_nothing_can_be_written_but_what_the_stage_is_for(attempted, command, stage, allowed):
    _, _, pods = attempted
    request = pods.pod(stage or StageName.TIMING, 2)
    assert pods.run(command, request).code == 0
    exchange = request.places.exchange
    paths = [
        *(pods.workspace / allowed / "mine" if allowed else pods.item / "probe" / "mine", exchange / "run" / "mine"),
        *(pods.item / "prepared.json", pods.workspace / "trees" / "mine", pods.workspace / "inputs"),
        *(exchange / "runner.pyz", exchange / "gateway.json"),
    ]
    with pods.beside(request) as container:
        for path in paths:
            done = container.run(
                ["sh", "-c", 'echo >>"$1" && rm "$1"', "sh", str(path)],
                cwd=pods.workspace,
                environment={"PATH": "/usr/bin:/bin"},
                timeout_seconds=60.0,
                log=request.places.scratch / "log",
            )
            assert done.succeeded is (path.name == "mine" and path.parent.name != "trees"), path


def test_an_attempt_whose_pod_was_lost_is_not_made_again(attempted):
    _, _, pods = attempted
    (pods.item / "agent" / "outcome.json").unlink()
    (pods.item / "agent" / "1" / "ended.json").unlink()
    again = beside(pods, "agent", StageName.AGENT).result(StageName.AGENT)
    assert again.reason is Reason.ALREADY_STARTED
