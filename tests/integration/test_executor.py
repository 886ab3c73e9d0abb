"""The executor on one machine: order, resume after a kill at any boundary, interrupt, and failures that stop no one."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from building.items import NOON, SECOND, batch, heads, result, template
from isobench.adapters.models.ledger import claim
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.status import StageName
from isobench.engine.plan import plan_item
from isobench.local.batch_state import open_batch, read_status
from isobench.local.events import ItemEnded, RunEnded, RunStarted, StageStarted
from isobench.local.executor import Executor
from isobench.local.work_root import WorkRoot

SPAWN = multiprocessing.get_context("spawn")
URL = "https://host.example/owner/name.git"
PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
OFFLINE = [PREPARE, TIMING, COLLECT]
GENERATED = [PREPARE, GENERATE, VALIDATE, TIMING, COLLECT]


def ticking(step=20 * SECOND):
    """A clock that goes on by a step, longer than any back-off, whenever it is looked at."""
    moment = NOON

    def clock():
        nonlocal moment
        moment += step
        return moment

    return clock


class Script:
    """Stages that only do what they are told, and remember what they were asked for."""

    def __init__(self, reasons=None, also=None):
        """``reasons`` says per (head, stage) or per stage how attempts end; ``also`` is called first, with both."""
        self._reasons = reasons or {}
        self._also = also or (lambda item, request: None)
        self.asked = []
        self.events = []
        self.clock = ticking()

    def run_stage(self, item, request):
        self.asked.append((item.spec.commits.head, request.stage, request.attempt))
        self._also(item, request)
        endings = self._reasons.get((item.spec.commits.head, request.stage)) or self._reasons.get(request.stage) or []
        reason = endings[request.attempt - 1] if request.attempt <= len(endings) else None
        now = self.clock()
        return result(request.stage, request.attempt, reason, started_at=now, seconds=0, message=f"{reason or ''}")

    def executor(self, state):
        return Executor(state, plan_of, self.run_stage, self.events.append, self.clock)

    @property
    def stages(self):
        return [stage for _, stage, _ in self.asked]

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def plan_of(item):
    return plan_item(item.spec, test_supplied=False, suspended=item.spec.suspend)


def opened(root, *, commits=1, generated=False, **changes):
    shared = template(test={"generate": {"provider": "local"}}) if generated else template()
    return open_batch(root, batch(heads(commits), template=shared, **changes), {URL: "owner/name"}, NOON, fresh=False)


def outcomes(state):
    return [item.status().outcome.reason for item in state.items()]


def test_an_item_passes_its_stages_in_order_and_each_is_told_of(work_root):
    script, state = Script(), opened(work_root, generated=True)
    tally = script.executor(state).run()
    assert script.stages == GENERATED
    assert [event.stage for event in script.told(StageStarted)] == GENERATED
    assert (tally.done, tally.failed, tally.unfinished) == (1, 0, 0)
    (started,), (ended,), (over,) = (script.told(kind) for kind in (RunStarted, ItemEnded, RunEnded))
    assert (started.batch, started.items, started.finished) == ("demo", 1, 0)
    assert ended.reason is Reason.RECORDED
    assert (over.summary["done"], over.interrupted) == (1, False)


def test_a_stage_is_told_how_long_it_may_take_and_why_its_test_was_refused(work_root):
    requests = []
    script = Script({VALIDATE: [Reason.TEST_FAILED]}, lambda _, request: requests.append(request))
    script.executor(opened(work_root, generated=True)).run()
    assert [(one.stage, one.attempt) for one in requests if one.stage is GENERATE] == [(GENERATE, 1), (GENERATE, 2)]
    assert [one.feedback for one in requests if one.stage is GENERATE] == [None, "TestFailed"]
    assert all(one.deadline_seconds > 0 for one in requests)


def test_the_status_is_on_disk_before_a_stage_begins(work_root):
    seen = []
    script = Script(also=lambda item, request: seen.append((item.status().stages[-1].name, request.stage)))
    script.executor(opened(work_root)).run()
    assert seen == [(stage, stage) for stage in OFFLINE]


def test_what_was_asked_is_kept_beside_the_status(work_root):
    state = opened(work_root)
    Script().executor(state).run()
    (item,) = state.items()
    assert item.workspace.item.exists()
    assert item.workspace.root == work_root.runs / item.run_id / item.item_id


def test_no_failed_item_stops_the_batch(work_root):
    first, second, _ = heads(3)
    script = Script({(first, PREPARE): [Reason.BUILD_FAILED], (second, TIMING): [Reason.NETWORK_NOT_ISOLATED]})
    state = opened(work_root, commits=3)
    tally = script.executor(state).run()
    assert outcomes(state) == ["BuildFailed", "NetworkNotIsolated", "Recorded"]
    assert (tally.done, tally.failed, tally.unfinished) == (1, 2, 0)
    assert [stage for head, stage, _ in script.asked if head == first] == [PREPARE, COLLECT]


def test_a_transient_failure_is_tried_once_more(work_root):
    script, state = Script({PREPARE: [Reason.GIT_TRANSIENT]}), opened(work_root)
    script.executor(state).run()
    assert script.stages == [PREPARE, PREPARE, TIMING, COLLECT]
    assert outcomes(state) == ["Recorded"]


def test_a_clock_that_is_set_back_again_and_again_costs_nothing_but_its_times(work_root):
    script, state = Script(), opened(work_root)
    script.clock = ticking(timedelta(hours=-1))
    tally = script.executor(state).run()
    assert outcomes(state) == ["Recorded"]
    assert all(seconds >= 0 for seconds in tally.seconds.values())


def test_the_first_failure_of_a_fail_fast_batch_leaves_the_rest_for_later(work_root):
    script, state = Script({(heads(3)[1], PREPARE): [Reason.NO_TEST]}), opened(work_root, commits=3, failFast=True)
    executor = script.executor(state)
    tally = executor.run()
    assert (tally.done, tally.failed, tally.unfinished) == (1, 1, 1)
    assert not executor.interrupted
    assert script.told(RunEnded)[0].interrupted is False
    assert Script().executor(opened(work_root, commits=3, failFast=True)).run().unfinished == 0


def test_an_interrupted_run_finishes_the_running_stage_and_goes_on_behind_it(work_root):
    script = Script(also=lambda _, request: request.stage is TIMING and executor.interrupt())
    executor = script.executor(opened(work_root, commits=2))
    tally = executor.run()
    assert script.stages == [PREPARE, TIMING]
    assert (tally.unfinished, executor.interrupted) == (2, True)
    resumed = Script()
    assert resumed.executor(opened(work_root, commits=2)).run().done == 2
    assert resumed.stages == [COLLECT, *OFFLINE]


def test_an_interrupt_ends_a_back_off_at_once(work_root):
    script = Script({PREPARE: [Reason.GIT_TRANSIENT]}, lambda *_: executor.interrupt())
    script.clock = lambda: NOON
    executor, state = script.executor(opened(work_root)), opened(work_root)
    assert executor.run().unfinished == 1
    (item,) = state.items()
    assert item.status().stages[-1].not_before > NOON


def test_a_suspended_batch_starts_nothing(work_root):
    script, state = Script(), opened(work_root, suspend=True)

    def suspended(item):
        return plan_item(item.spec, test_supplied=False, suspended=True)

    tally = Executor(state, suspended, script.run_stage, script.events.append, script.clock).run()
    assert script.asked == []
    assert tally.unfinished == 1


@pytest.mark.parametrize("parallelism", [1, 3])
def test_as_many_items_run_at_once_as_the_batch_says_and_no_more(work_root, parallelism):
    inside, most, lock, meet = set(), [], threading.Lock(), threading.Barrier(parallelism)

    def together(item, request):
        if request.stage is PREPARE:
            with lock:
                inside.add(item.item_id)
            meet.wait()
            most.append(len(inside))
            meet.wait()
        if request.stage is COLLECT:
            with lock:
                inside.remove(item.item_id)

    Script(also=together).executor(opened(work_root, commits=3, parallelism=parallelism)).run()
    assert most == [parallelism] * 3


def test_an_error_of_isobenchs_own_ends_the_run_but_not_the_items_that_are_running(work_root):
    first, _ = heads(2)
    failed = threading.Event()

    def broken(item, request):
        if item.spec.commits.head == first:
            failed.set()
            raise RuntimeError("a bug")
        failed.wait()

    state = opened(work_root, commits=2, parallelism=2)
    with pytest.raises(RuntimeError, match="a bug"):
        Script(also=broken).executor(state).run()
    assert Script().executor(state).run().done == 2


def test_a_reader_sees_whole_states_only(work_root):
    state, over, seen = opened(work_root, commits=20), threading.Event(), []

    def read():
        while not over.is_set():
            seen.extend(read_status(item.workspace) for item in state.items())

    reader = threading.Thread(target=read)
    reader.start()
    Script().executor(state).run()
    over.set()
    reader.join()
    assert seen
    assert not list(work_root.runs.rglob("*.tmp"))


def test_the_same_batch_goes_on_with_its_run_and_a_changed_one_begins_anew(work_root):
    run = opened(work_root).run
    assert opened(work_root).run == run
    assert opened(work_root, parallelism=2).run.digest != run.digest


def test_main_is_resolved_once_per_run_also_across_a_restart(work_root):
    assert opened(work_root).main_commit(URL, lambda: "1" * 40) == "1" * 40
    assert opened(work_root).main_commit(URL, lambda: "2" * 40) == "1" * 40


def test_the_same_commit_twice_is_refused_unless_models_or_samples_differ(work_root):
    with pytest.raises(ValueError, match="is there twice; leave one, or give each its own model or sample"):
        open_batch(work_root, batch(heads(1) * 2), {URL: "owner/name"}, NOON, fresh=True)
    samples = [{"head": heads(1)[0], "sample": number} for number in (1, 2)]
    state = open_batch(work_root, batch(commits=samples), {URL: "owner/name"}, NOON, fresh=True)
    assert len({row.item_id for row in state.run.items}) == 2


BOUNDARIES = [*((where, stage) for stage in GENERATED for where in ("told of", "begun", "done")), ("ended", None)]


class Mortal(Script):
    """Stages that leave a line each in a file, pay at most once, and kill their process at one boundary."""

    def __init__(self, log, dies_at=None):
        super().__init__()
        self._log = log
        self._dies_at = dies_at

    def reach(self, where, stage):
        if (where, stage) == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def run_stage(self, item, request):
        self.reach("begun", request.stage)
        try:
            if request.stage is GENERATE:
                claim(item.workspace.ledger(), request.stage, request.attempt)
        except ItemFailure as failure:
            return result(request.stage, request.attempt, failure.reason)
        with self._log.open("a") as log:
            log.write(f"{request.stage}\n")
        done = super().run_stage(item, request)
        self.reach("done", request.stage)
        return done

    def tell(self, event):
        if isinstance(event, StageStarted):
            self.reach("told of", event.stage)
        if isinstance(event, ItemEnded):
            self.reach("ended", None)

    def executor(self, state):
        return Executor(state, plan_of, self.run_stage, self.tell, self.clock)


def run_until_killed(work, log, dies_at):
    root = WorkRoot(work)
    root.create()
    Mortal(log, dies_at).executor(opened(root, generated=True)).run()


@pytest.mark.slow
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: " ".join(filter(None, map(str, boundary))))
def test_a_run_that_was_killed_goes_on_where_it_was_and_pays_nothing_twice(work_root, tmp_path, boundary):
    log = tmp_path / "log"
    child = SPAWN.Process(target=run_until_killed, args=(work_root.path, log, boundary))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    state = opened(work_root, generated=True)
    tally = Mortal(log).executor(state).run()
    assert tally.unfinished == 0
    done = Counter(Path(log).read_text().split())
    where, stage = boundary
    repeated = {stage} if where == "done" and stage is not GENERATE else set()
    if boundary == ("done", GENERATE):
        assert outcomes(state) == ["AlreadyStarted"]
        assert done == {PREPARE: 1, GENERATE: 1, COLLECT: 1}
    else:
        assert outcomes(state) == ["Recorded"]
        assert done == {stage: 2 if stage in repeated else 1 for stage in GENERATED}
