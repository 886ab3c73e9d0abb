"""What commands say of the step that is next, so that a person who has read nothing else gets on."""

import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from building.items import NOON, batch, heads, manifest
from building.repositories import RepositoryBuilder
from isobench.adapters.files import write_model
from isobench.cli.closing import print_summary
from isobench.contracts.reasons import Reason
from isobench.contracts.status import (
    CommitBenchmarkStatus,
    Condition,
    ResultSummary,
    StageName,
    StageState,
    StageStatus,
)
from isobench.engine.summary import Tally
from isobench.local.batch_state import open_batch

SCRIPT = "print('Execution time: 1.0s')\n"
BUCKET = "s3://records/project"


@pytest.fixture
def plan(isobench, tmp_path):
    """Plan the one commit of a clone, whose test is there, as a person in `here` does."""
    project = RepositoryBuilder(tmp_path / "lab" / "project").commits(2)
    isobench.write("commits.txt", project.head)
    isobench.write(f"tests/{project.head}_test_case_generator.py", SCRIPT)

    def planned(*arguments, origin="https://host.example/lab/project.git"):
        if origin:
            project.git("config", "remote.origin.url", origin)
        return isobench("plan", "--repo", project.path, "--commits", "commits.txt", *arguments)

    return planned


def refusal(answer):
    """The one sentence that a person gets."""
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert not Path("batch.yaml").exists()
    return line


@pytest.mark.parametrize("flags", [("--provider", "other"), ("--config", "config/main_other.toml"), ()])
def test_the_run_after_a_plan_takes_the_configuration_of_the_plan(isobench, plan, flags):
    isobench.write("config/main_other.toml", '[llm]\nprovider = "other"\n')
    assert plan("--tests", "tests", *flags).out.splitlines()[1:] == [
        " ".join(["next: isobench run batch.yaml", *flags])
    ]


def test_a_plan_says_what_becomes_of_commits_without_a_test(plan):
    remedy = "without a test an item ends as NoTest: give --tests DIR, or --generate to let a model write it"
    assert remedy in plan().out
    assert remedy not in plan("--generate").out
    assert remedy not in plan("--tests", "tests").out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--store", "/records"), "--store: /records is nowhere that pods can write; give s3://BUCKET/PREFIX"),
        (("--store", "file:///records"), "--store: file:///records is nowhere that pods can write"),
        (("--inputs-to", "/inputs"), "--inputs-to: /inputs is no store; give s3://BUCKET/PREFIX or file://FOLDER"),
        (("--store-secret", "store"), "--store-secret: store opens no store: give --store"),
        (("--inputs-secret", "store"), "--inputs-secret: store opens nothing: give --inputs-to"),
        (("--store", BUCKET), "--inputs-to: is missing: pods can't read tests and extraction files of this machine"),
    ],
)
def test_a_plan_that_no_cluster_would_take_is_refused_before_it_is_written(plan, flags, said):
    assert said in refusal(plan("--tests", "tests", *flags))


@pytest.mark.parametrize("flag", ["--name", "--repo", "--store", "--endpoint", "--llm-secret", "--inputs-to"])
@pytest.mark.parametrize("words", ["", "x" * 1025])
def test_what_no_field_of_a_manifest_may_hold_is_refused_by_its_flag(plan, flag, words):
    said = plan(flag, words).err
    assert f"Invalid value for '{flag}': it has {len(words)} characters; give 1 to " in said


@pytest.mark.parametrize("origin", [None, "/srv/git/project"])
def test_pods_are_sent_to_no_path_of_this_machine(plan, tmp_path, origin):
    if origin:
        origin = str(RepositoryBuilder(tmp_path / "origin").commits(1).path)
    said = refusal(plan("--store", BUCKET, origin=origin))
    assert "is a path of this machine, which no pod can read; give its URL" in said


def test_a_mistyped_command_is_answered_with_the_nearest(isobench):
    assert "no such command 'pln': did you mean 'plan'?" in isobench("pln").err
    assert "no such command 'xyz': there are plan, run, status" in isobench("xyz").err


def test_a_batch_without_a_run_is_answered_with_those_that_have_one(isobench, work_root):
    open_batch(work_root, batch(), {"https://host.example/owner/name.git": "owner/name"}, NOON, fresh=False)
    said = isobench("status", "dmeo", "--work-root", work_root.path).err
    assert "no run of dmeo is recorded here; there are runs of demo" in said


def test_into_a_pipe_names_and_paths_are_printed_whole(isobench, work_root, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    item = state_of(work_root, status_of("BuildFailed: " + "a long message " * 10))
    for command in ("status", "show"):
        name = () if command == "status" else (item.item_id,)
        assert item.item_id in isobench(command, *name, "--work-root", work_root.path).out
    assert f"folder: {item.workspace.root}" in isobench("show", item.item_id, "--work-root", work_root.path).out


def test_status_says_why_a_record_holds_no_measurement(isobench, work_root):
    timing = StageStatus(name=StageName.TIMING, state=StageState.SUCCEEDED, message="TestFailed: head: exit status 1")
    state_of(work_root, status_of("the record is stored", Reason.RECORDED, ResultSummary(), [timing]))
    shown = isobench("status", "--work-root", work_root.path).out
    assert "TestFailed: head: exit status 1" in shown
    assert "the record is stored" not in shown


def test_status_says_what_became_of_an_agent(isobench, work_root):
    tried = ResultSummary(verdict="faster", speedup=1.5, ci_low=1.4, ci_high=1.6, pairs=10, agent_outcome="no_change")
    state_of(work_root, status_of("the record is stored", Reason.RECORDED, tried))
    shown = isobench("status", "--work-root", work_root.path).out
    assert "faster 1.5x [1.4, 1.6], 10 pairs; agent no_change" in shown


def test_a_failed_item_is_begun_again_by_the_beginning_of_its_commit(isobench, tmp_path):
    first, second = heads(2)
    nowhere = {"repository": {"url": str(tmp_path / "nowhere")}, "test": {"inline": SCRIPT}}
    isobench.write("batch.yaml", yaml.safe_dump(manifest([first, second], template=nowhere)))
    assert "the same command with --retry failed begins them again" in isobench("run", "batch.yaml").out
    events = [json.loads(line) for line in isobench("run", "batch.yaml", "--json", "--retry", second).out.splitlines()]
    assert {event["item"].split("-")[1] for event in events if event["event"] == "StageStarted"} == {second[:8]}
    assert "--retry fff: no item of that name" in isobench("run", "batch.yaml", "--retry", "fff").err
    assert "--retry nowhere: could be " in isobench("run", "batch.yaml", "--retry", "nowhere").err


def test_the_end_of_a_run_says_where_records_are_and_what_is_left_to_do(work_root, tmp_path):
    dataset = tmp_path / "demo.jsonl"
    dataset.write_text("")
    unfinished = CommitBenchmarkStatus()
    no_times = status_of("the record is stored", Reason.RECORDED, ResultSummary())
    said = summary(work_root, dataset, no_times, status_of("no"), unfinished)
    assert "no measurement: `isobench show ITEM` says why" in said
    assert "not recorded: `isobench status` says why" in said
    assert "1 unfinished: the same command goes on with them" in said
    assert f"records: {dataset}" in said
    nothing_ended = summary(work_root, tmp_path / "none.jsonl", unfinished)
    assert "records:" not in nothing_ended
    assert nothing_ended.startswith("demo: 0 done, 0 not, 1 unfinished\n"), "no table without rows"


def test_the_end_of_a_run_says_that_an_agent_was_asked_for_and_could_not_start(work_root, tmp_path):
    why = "OPENAI_API_KEY is not set"
    stage = StageStatus(name=StageName.AGENT, state=StageState.FAILED, reason=Reason.MODEL_UNAUTHORIZED, message=why)
    alone = status_of("the record is stored", Reason.RECORDED, ResultSummary(verdict="faster"), [stage])
    tried = alone.model_copy(update={"result": ResultSummary(verdict="faster", agent_outcome="crashed")})
    said = summary(work_root, tmp_path / "none.jsonl", alone, alone, tried)
    assert f"without an agent's outcome: 2 ModelUnauthorized: {why}; the same command with --new-run" in said


def status_of(message, reason=Reason.BUILD_FAILED, result=None, stages=()):
    """An item that has ended."""
    answer = "True" if reason is Reason.RECORDED else "False"
    condition = Condition(type="Succeeded", status=answer, reason=reason, message=message)
    return CommitBenchmarkStatus(conditions=[condition], result=result, stages=list(stages))


def state_of(root, *statuses):
    """The first item of a run of items with these statuses."""
    return next(_run(root, statuses).items())


def _run(root, statuses):
    slugs = {"https://host.example/owner/name.git": "owner/name"}
    state = open_batch(root, batch(heads(len(statuses))), slugs, NOON, fresh=True)
    for item, status in zip(state.items(), statuses, strict=True):
        write_model(item.workspace.status, status)
    return state


def summary(root, dataset, *statuses):
    """What is printed at the end of a run of items with these statuses."""
    tally, printed = Tally(), StringIO()
    for status in statuses:
        tally.add(status)
    print_summary(tally, Console(file=printed, width=80), _run(root, statuses), dataset)
    return printed.getvalue()
