"""The stages' ports on this machine: what keeps one from being set up ends that attempt, and never the batch."""

import pytest

from building.items import HEAD, NOON, batch, heads, template
from isobench.adapters.inputs import Supplies
from isobench.contracts.configuration import Configuration
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageRequest
from isobench.contracts.status import StageName
from isobench.engine.settings import EffectiveConfiguration
from isobench.local.batch_state import open_batch
from isobench.local.workbench import Workbench

URL = "https://host.example/owner/name.git"


def opened(root, supplies=None, **shared):
    state = open_batch(root, batch([HEAD], template=template(**shared)), {URL: "owner/name"}, NOON, fresh=False)
    bench = Workbench(
        state=state,
        supplies=supplies or Supplies(),
        data_dir=root.path.parent / "data",
        allow_network=False,
        container=False,
        settings=EffectiveConfiguration(Configuration(), sources={}),
        tell=lambda event: None,
    )
    return bench, next(state.items())


def attempted(bench, item, stage):
    request = StageRequest(item_id=item.item_id, run_id=item.run_id, stage=stage, spec=item.spec, deadline_seconds=9.0)
    return bench.run_stage(item, request)


@pytest.mark.parametrize("stage", [StageName.VALIDATE, StageName.TIMING])
def test_more_cores_than_there_are_is_the_items_failure(work_root, stage):
    ended = attempted(*opened(work_root, timing={"cores": 64}), stage)
    assert (ended.succeeded, ended.reason) == (False, Reason.INVALID_SPEC)
    assert ended.message.startswith("timing.cores: 64 cores are asked for and ")


@pytest.mark.parametrize("stage", [StageName.PREPARE, StageName.COLLECT])
def test_a_store_elsewhere_is_the_items_failure(work_root, stage):
    ended = attempted(*opened(work_root, output={"store": "s3://bucket/key"}), stage)
    assert (ended.succeeded, ended.reason) == (False, Reason.INVALID_SPEC)
    assert "s3://bucket/key is not on this machine; use file://<folder>" in ended.message


def test_another_provider_than_the_configured_one_is_the_items_failure(work_root):
    ended = attempted(*opened(work_root, test={"generate": {"provider": "local"}}), StageName.GENERATE)
    assert ended.reason is Reason.INVALID_SPEC
    assert "the batch asks local and openai is configured; add --provider local" in ended.message


@pytest.mark.parametrize("digits", [40, 8])
def test_a_supplied_test_is_found_by_its_commit_also_where_it_is_no_text(work_root, tmp_path, digits):
    supplied = tmp_path / "inputs" / "tests" / f"{HEAD[:digits]}_test_case_generator.py"
    supplied.parent.mkdir(parents=True)
    supplied.write_bytes(b"\xff\xfe")
    bench, item = opened(work_root, Supplies(tmp_path / "inputs"), test={"generate": {"provider": "local"}})
    assert bench.plan_of(item).stages == (StageName.PREPARE, StageName.TIMING, StageName.COLLECT)


def test_a_test_that_nobody_supplied_is_generated(work_root, tmp_path):
    bench, item = opened(work_root, Supplies(tmp_path), test={"generate": {"provider": "local"}})
    assert StageName.GENERATE in bench.plan_of(item).stages
    assert not Supplies().has_test(heads(1)[0])
