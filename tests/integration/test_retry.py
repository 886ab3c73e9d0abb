"""`isobench run --retry`: an item is begun again on a clean slate, and what was known of it is kept."""

import pytest

from building.items import NOON, batch, heads, record, result, template
from isobench.adapters.dataset import DatasetFile
from isobench.adapters.files import write_text
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import Reason
from isobench.contracts.status import Cost, StageName
from isobench.engine.plan import plan_item
from isobench.local.batch_state import open_batch
from isobench.local.events import RunStarted
from isobench.local.executor import Executor

URL = "https://host.example/owner/name.git"
PREPARE, GENERATE, VALIDATE, _, _, TIMING, COLLECT = StageName
GENERATED = [PREPARE, GENERATE, VALIDATE, TIMING, COLLECT]


def plan_of(item):
    return plan_item(item.spec, test_supplied=False)


class Run:
    """A batch of three items, whose second fails in `prepare` and third in `generate`, as long as it is told to."""

    def __init__(self, root):
        shared = template(test={"generate": {"provider": "scripted"}})
        self.state = open_batch(root, batch(heads(3), template=shared), {URL: "owner/name"}, NOON, fresh=False)
        self.dataset = DatasetFile(root.path.parent / "data" / "demo.jsonl")
        self.endings = {(heads(3)[1], PREPARE): Reason.BUILD_FAILED, (heads(3)[2], GENERATE): Reason.PAID_ATTEMPT_LOST}
        self.events = []

    def go(self, *retry):
        """Run to the end; the stages that were begun, each with its head's last digit."""
        self.state.begin_again(retry)
        begun = []

        def stage(item, request):
            head = item.spec.commits.head
            begun.append((int(head[-1]), request.stage))
            write_text(item.workspace.root / f"{request.stage}.txt", f"of item {head}")
            if request.stage is COLLECT:
                write_text(item.workspace.journal, "{}")
                if item.status().latest(TIMING):
                    self.dataset.store(record(head))
            cost = Cost(measured_usd=0.5) if request.stage is GENERATE else None
            return result(request.stage, request.attempt, self.endings.get((head, request.stage)), cost=cost)

        self.tally = Executor(self.state, plan_of, stage, self.events.append, lambda: NOON).run()
        return begun

    @property
    def items(self):
        return list(self.state.items())

    @property
    def folders(self):
        return sorted(path.name for path in self.items[0].workspace.root.parent.iterdir())


@pytest.fixture
def run(work_root):
    ended = Run(work_root)
    ended.go()
    assert (ended.tally.done, ended.tally.failed) == (1, 2)
    return ended


def test_failed_begins_all_that_ended_without_a_record_and_nothing_else(run):
    run.endings.clear()
    assert run.go("failed") == [(number, stage) for number in (2, 3) for stage in GENERATED]
    assert (run.tally.done, run.tally.failed) == (3, 0)
    assert [event.finished for event in run.events if isinstance(event, RunStarted)] == [0, 1]


def test_an_item_is_begun_again_by_its_name(run):
    run.endings.clear()
    _, second, _ = run.items
    assert run.go(second.item_id) == [(2, stage) for stage in GENERATED]
    assert (run.tally.done, run.tally.failed) == (2, 1)


def test_the_folder_of_an_earlier_attempt_is_kept_as_it_was(run):
    _, _, third = run.items
    before = {path.name: path.read_bytes() for path in third.workspace.root.iterdir()}
    run.go(third.item_id)
    run.go(third.item_id)
    name = third.workspace.root.name
    assert [folder for folder in run.folders if folder.startswith(name)] == [
        name, f"{name}.before-1", f"{name}.before-2",
    ]  # fmt: skip
    kept = third.workspace.root.with_name(f"{name}.before-1")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert {"status.json", "journal.json", "generate.txt"} <= before.keys()


def test_a_dataset_holds_one_record_per_commit_however_often_items_are_begun_again(run):
    run.endings.clear()
    run.go("failed")
    run.go("failed")
    assert [row["head_commit"] for row in run.dataset.rows()] == heads(3)


def test_a_recorded_item_is_not_begun_again(run):
    first, second, _ = run.items
    with pytest.raises(InvalidInput, match=f"{first.item_id} is recorded; remove the record and take --new-run"):
        run.go(first.item_id, second.item_id)
    assert not [folder for folder in run.folders if "before" in folder]


def test_a_name_that_no_item_has_is_refused_and_nothing_begun_again(run):
    with pytest.raises(InvalidInput, match="nothing-1 is no item of this run; `isobench status` lists them"):
        run.go("failed", "nothing-1")
    assert not [folder for folder in run.folders if "before" in folder]


def test_where_nothing_has_failed_nothing_is_begun_again(run):
    run.endings.clear()
    run.go("failed")
    assert run.go("failed") == []


def test_an_item_that_was_not_begun_is_simply_begun(work_root):
    fresh = Run(work_root)
    first, _, _ = fresh.items
    fresh.endings.clear()
    assert fresh.go(first.item_id) == [(number, stage) for number in (1, 2, 3) for stage in GENERATED]
    assert not [folder for folder in fresh.folders if "before" in folder]


def test_the_cost_of_an_item_that_was_begun_again_starts_from_nothing(run):
    _, _, third = run.items
    run.go(third.item_id)
    assert third.status().cost.measured_usd == 0.5
