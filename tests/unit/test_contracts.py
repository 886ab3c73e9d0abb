"""The contracts: what a person's mistakes are told in, what survives writing and reading, what is never a number."""

import ast
import json
import math
from datetime import UTC
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import isobench.probe
from building.items import HEAD, NOON, batch, manifest, prepared, record, result, spec
from isobench.adapters.files import read_model, write_model
from isobench.contracts.base import Contract, InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.extraction import Extraction
from isobench.contracts.journal import Journal
from isobench.contracts.objects import CommitBenchmark, CommitBenchmarkBatch
from isobench.contracts.reasons import CONSEQUENCES, Family, ItemFailure, Reason
from isobench.contracts.record import Measurement, Record
from isobench.contracts.spec import TimingSpec
from isobench.contracts.stage import StageRequest
from isobench.contracts.status import (
    CommitBenchmarkStatus,
    Condition,
    Cost,
    ResultSummary,
    StageName,
    StageState,
    StageStatus,
)
from isobench.contracts.timed import Timed

RECORD_KEYS = [
    "repo",
    "instance_id",
    "created_at",
    "base_commit",
    "head_commit",
    "patch",
    "test_patch",
    "efficiency_test",
    "duration_changes",
    "human_performance",
    "version",
    "patch_functions",
    "test_functions",
    "api",
    "gt_commit_message",
    "setup_commands",
    "install_commands",
    "notes",
    "api_manifest_paths",
    "api_manifest_summaries",
    "test_failed",
]


def refused(model, data):
    """The sentences with which ``data`` is refused."""
    with pytest.raises(InvalidInput) as caught:
        model.parse(data, "batch.yaml")
    assert caught.value.source == "batch.yaml"
    assert str(caught.value).startswith("batch.yaml: ")
    return list(caught.value.problems)


def changed(path, value):
    """The manifest with the value at ``path`` set."""
    document = manifest()
    *parents, last = path
    place = document
    for step in parents:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (("knd",), "knd: no such key; did you mean 'kind'?"),
        (("spec", "paralelism"), "spec.paralelism: no such key; did you mean 'parallelism'?"),
        (
            ("spec", "template", "timing", "maxPair"),
            "spec.template.timing.maxPair: no such key; did you mean 'maxPairs'?",
        ),
        (("spec", "commits", 0, "haed"), "spec.commits.0.haed: no such key; did you mean 'head'?"),
        (
            ("spec", "commits", 0, "test", "inlined"),
            "spec.commits.0.test.inlined: no such key; did you mean 'inline'?",
        ),
        (
            ("spec", "template", "environment", "install_commands"),
            "spec.template.environment.install_commands: no such key; did you mean 'installCommands'?",
        ),
    ],
)
def test_an_unknown_key_of_a_manifest_is_refused_with_the_nearest_known_one(path, sentence):
    assert refused(CommitBenchmarkBatch, changed(path, 1)) == [sentence]


def test_an_unknown_key_that_is_near_to_nothing_is_answered_by_the_keys_that_are_known_there():
    (sentence,) = refused(CommitBenchmarkBatch, changed(("spec", "inputs"), {"zzz": 1, "uri": "a", "sha256": "0" * 64}))
    assert sentence == "spec.inputs.zzz: no such key; known keys are endpoint, secretRef, sha256, uri"


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ({"llm": {"modle": "m"}}, "llm.modle: no such key; did you mean 'model'?"),
        ({"timing": {"maxPairs": 20}}, "timing.maxPairs: no such key; did you mean 'max_pairs'?"),
        ({"pricing": {"some/model": {"inptu": 1}}}, "pricing.some/model.inptu: no such key; did you mean 'input'?"),
    ],
)
def test_configuration_is_written_in_snake_case_and_its_unknown_keys_are_refused_too(toml, sentence):
    assert sentence in refused(Configuration, toml)


def test_every_problem_gets_a_sentence_of_its_own_with_the_value():
    document = changed(("spec", "commits"), [{"head": "not a hash"}, {}])
    document["spec"]["parallelism"] = "many"
    sentences = refused(CommitBenchmarkBatch, document)
    assert len(sentences) == 3
    assert any(one.startswith("spec.commits.0.head: ") and "'not a hash'" in one for one in sentences)
    assert "spec.commits.1.head: is required and missing" in sentences
    assert any(one.startswith("spec.parallelism: ") and "(got 'many')" in one for one in sentences)


@pytest.mark.parametrize("document", [None, 3, "text", ["a"]])
def test_a_document_that_is_no_object_is_refused_as_such(document):
    (sentence,) = refused(CommitBenchmarkBatch, document)
    assert sentence.startswith("the document: input should be a valid dictionary")


def test_a_long_value_is_shown_in_part():
    (sentence,) = refused(CommitBenchmarkBatch, changed(("spec", "parallelism"), "x" * 5000))
    assert len(sentence) < 200


def test_a_rule_across_keys_is_told_in_its_own_words():
    (sentence,) = refused(TimingSpec, {"minPairs": 50, "maxPairs": 20})
    assert "maxPairs (20) is below minPairs (50); raise it" in sentence


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_everywhere(number):
    (sentence,) = refused(CommitBenchmarkBatch, changed(("spec", "budgetUsd"), number))
    assert sentence.startswith("spec.budgetUsd: input should be a finite number")
    with pytest.raises(ValidationError):
        record(human_performance=number)
    with pytest.raises(ValidationError):
        Timed(durations={"base": [1.0, number]}, measurement=None)


def test_a_value_never_changes():
    with pytest.raises(ValidationError):
        record().repo = "other/name"


def test_a_manifest_comes_back_as_it_was_written_in_camel_case():
    document = manifest(template={"timing": {"maxPairs": 30}}, failFast=True)
    written = CommitBenchmarkBatch.parse(document, "a test").manifest()
    assert written["spec"]["template"]["timing"]["maxPairs"] == 30
    assert CommitBenchmarkBatch.parse(written, "a test") == CommitBenchmarkBatch.parse(document, "a test")


def test_hashes_are_lowered_and_a_kind_keeps_what_the_api_server_adds_to_its_metadata():
    item = {"metadata": {"name": "one", "resourceVersion": "7"}, "spec": spec().manifest()}
    item["spec"]["commits"]["head"] = HEAD.upper()
    parsed = CommitBenchmark.parse(item, "a test")
    assert parsed.spec.commits.head == HEAD
    assert parsed.manifest()["metadata"]["resourceVersion"] == "7"


LOST = StageStatus(name=StageName.TIMING, state=StageState.LOST, started_at=NOON, reason=Reason.STAGE_LOST)
STATUS = CommitBenchmarkStatus(
    stages=[LOST.model_copy(update={"overhead_seconds": 0.5})],
    conditions=[Condition(type="Succeeded", status="Unknown", reason="timing", last_transition_time=NOON)],
    cost=Cost(measured_usd=0.25),
    result=ResultSummary(verdict="faster", speedup=1.5, ci_low=1.4, ci_high=1.6, pairs=20),
)
WRITTEN = [
    STATUS,
    spec(environment={"python": "3.11", "installCommands": ["pip install ."]}),
    batch(),
    result(StageName.TIMING, facts={"instance_id": "owner__name-1"}),
    StageRequest(
        item_id="i", run_id="r", stage=StageName.GENERATE, spec=spec(), deadline_seconds=5.0, feedback="it failed"
    ),
    prepared(notes=["a note"]),
    Timed(durations={"base": [1.5], "control": [1.25]}, measurement=Measurement(verdict="same")),
    Timed(durations={"base": []}, measurement=Measurement(reason=Reason.TOO_SLOW)),
    Timed(durations={"base": [1.5]}),
    Journal(
        isobench="0.1.0",
        run_id="r",
        item_id="i",
        head_commit=HEAD,
        spec=spec(),
        started_at=NOON,
        finished_at=NOON,
        outcome=Reason.RECORDED,
        stages=STATUS.stages,
    ),
    Configuration.parse({"llm": {"model": "m"}, "pricing": {"m": {"input": 1, "output": 2}}}, "a test"),
]


@pytest.mark.parametrize("value", WRITTEN, ids=lambda value: type(value).__name__)
def test_what_is_written_to_a_file_is_read_back_as_it_was(value, tmp_path):
    write_model(tmp_path / "value.json", value)
    assert read_model(tmp_path / "value.json", type(value)) == value


def test_a_value_that_may_be_none_may_be_left_out_for_files_leave_it_out():
    required = {
        (model.__name__, name)
        for model in _contracts()
        for name, field in model.model_fields.items()
        if field.is_required() and type(None) in get_args(field.annotation)
    }
    assert required == {("Record", "human_performance")}, "a row of the dataset always says it"


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(StageState), st.text())
def test_a_status_survives_its_manifest(moment, state, message):
    stage = StageStatus(name=StageName.PREPARE, state=state, started_at=moment, message=message)
    status = CommitBenchmarkStatus(stages=[stage])
    assert CommitBenchmarkStatus.parse(json.loads(json.dumps(status.manifest())), "a test") == status


def test_a_file_that_is_no_json_or_of_another_model_is_named(tmp_path):
    path = tmp_path / "status.json"
    path.write_text('{"stages": [')
    with pytest.raises(InvalidInput, match=r"status\.json: is not valid JSON \(line 1: "):
        read_model(path, CommitBenchmarkStatus)
    path.write_bytes(b'{"stages": "\xff"}')
    with pytest.raises(InvalidInput, match=r"status\.json: is not UTF-8 text"):
        read_model(path, CommitBenchmarkStatus)
    path.write_text('{"stage": []}')
    with pytest.raises(InvalidInput, match="stage: no such key; did you mean 'stages'"):
        read_model(path, CommitBenchmarkStatus)


def test_a_record_has_the_old_pipelines_keys_in_its_order_and_nothing_else():
    assert list(record().row()) == RECORD_KEYS


def test_an_addition_stands_behind_the_old_keys_and_only_where_it_applies():
    row = record(agent_success=False, agent_error="AgentError", measurement=Measurement(verdict="faster")).row()
    assert list(row) == [*RECORD_KEYS, "agent_success", "agent_error", "measurement"]
    assert row["agent_success"] is False
    assert row["measurement"]["verdict"] == "faster"


def test_a_field_without_a_value_stays_in_the_row_as_null_where_the_old_pipeline_had_it():
    row = record(human_performance=None).row()
    nulls = {key for key, value in row.items() if value is None}
    assert nulls == {
        "human_performance",
        "patch_functions",
        "api",
        "setup_commands",
        "install_commands",
        "notes",
        "api_manifest_paths",
        "api_manifest_summaries",
    }
    assert (row["test_patch"], row["test_functions"]) == ("", [])


def test_a_row_is_the_record():
    original = record(measurement=Measurement(verdict="same"), agent_success=True)
    assert Record.parse(json.loads(json.dumps(original.row(), allow_nan=False)), "a line") == original


@pytest.mark.parametrize(
    ("additions", "online"), [({}, False), ({"agent_success": False}, True), ({"agent_error": "lost"}, True)]
)
def test_a_record_is_online_once_an_agents_attempt_is_part_of_it(additions, online):
    assert record(**additions).online is online


def test_an_extraction_keeps_what_it_does_not_know():
    kept = Extraction.parse({"commit_hash": HEAD.upper(), "timeline_text": "x", "repo_path": "/elsewhere"}, "x.json")
    assert kept.commit_hash == HEAD
    assert kept.parent_hash is None
    assert kept.model_extra == {"timeline_text": "x", "repo_path": "/elsewhere"}


@pytest.mark.parametrize("data", [{}, {"commit_hash": "xyz"}, {"commit_hash": None}, []])
def test_an_extraction_without_a_commit_is_refused(data):
    assert len(refused(Extraction, data)) == 1


def test_every_reason_says_what_follows_from_it():
    assert set(CONSEQUENCES) == set(Reason)
    for reason in Reason:
        consequence = reason.consequence
        assert consequence.advice, reason
        assert not consequence.advice.endswith("."), reason
        assert not (consequence.retried and consequence.charged), f"{reason}: what is paid for is never tried again"


@pytest.mark.parametrize("reason", Reason)
def test_advice_on_a_cluster_names_nothing_that_only_one_machine_has(reason):
    own = ["isobench run", "isobench doctor", "--", "work root", "run again", "this machine", "a machine", "tests_dir"]
    assert [words for words in own if words in reason.advice_on_cluster] == []
    assert reason.advice_on_cluster
    assert not reason.advice_on_cluster.endswith(".")


def test_only_infrastructure_and_the_network_are_tried_again():
    retried = {reason for reason in Reason if reason.consequence.retried}
    assert {reason.consequence.family for reason in retried - {Reason.GIT_TRANSIENT}} == {Family.INFRASTRUCTURE}


def test_a_failure_tells_its_reason_and_its_sentence():
    failure = ItemFailure(Reason.NO_TEST, "there is no test for abc: give one")
    assert str(failure) == "NoTest: there is no test for abc: give one"


def test_every_reason_that_the_probe_gives_an_arm_is_one_of_the_reasons():
    given = {name for path in Path(isobench.probe.__path__[0]).glob("*.py") for name in _arm_failures(path)}
    assert len(given) > 5
    assert given <= {reason.value for reason in Reason}


def _arm_failures(path):
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.startswith("ArmFailure"):
            yield call.args[0].value


def test_a_stage_result_says_no_more_than_a_termination_message_holds():
    with pytest.raises(ValidationError):
        result(StageName.PREPARE, message="x" * 1025)
    assert len(result(StageName.PREPARE, message="x" * 1024).model_dump_json()) < 2048


def _contracts(model=Contract):
    for child in model.__subclasses__():
        yield child
        yield from _contracts(child)
