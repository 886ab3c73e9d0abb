"""Drives a batch's items through their stages on this machine: the same table as on a cluster, stages run in place."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

from isobench.adapters.files import write_model
from isobench.contracts.reasons import Family, Reason
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import CommitBenchmarkStatus
from isobench.engine.machine import JobState, ObservedJob, Start, decide
from isobench.engine.plan import ItemPlan
from isobench.engine.summary import Tally
from isobench.local.batch_state import BatchState, Item
from isobench.local.events import ItemEnded, Listener, RunEnded, RunStarted, StageStarted
from isobench.stages.attempt import Clock

RunStage = Callable[[Item, StageRequest], StageResult]
PlanOf = Callable[[Item], ItemPlan]


class Executor:
    """Runs one batch."""

    def __init__(self, state: BatchState, plan_of: PlanOf, run_stage: RunStage, tell: Listener, clock: Clock) -> None:
        """``run_stage`` does one attempt at a stage and returns its result, whatever happens in it."""
        self._state = state
        self._plan_of = plan_of
        self._run_stage = run_stage
        self._tell = tell
        self._clock = clock
        self._stop = threading.Event()
        self.interrupted = False

    def interrupt(self) -> None:
        """Finish the running stages, and start nothing new."""
        self.interrupted = True
        self._stop.set()

    def run(self) -> Tally:
        """Bring every item to its end, as many at once as the batch says, and tally all of them."""
        self._tell(self._started())
        with ThreadPoolExecutor(self._state.batch.spec.parallelism, thread_name_prefix="item") as pool:
            try:
                self._drive_all(pool)
            finally:
                self._stop.set()
        tally = Tally()
        for item in self._state.items():
            tally.add(item.status())
        self._tell(RunEnded(summary=tally.as_json(), interrupted=self.interrupted))
        return tally

    def _drive_all(self, pool: ThreadPoolExecutor) -> None:
        running: set[Future[None]] = set()
        for item in self._unfinished():
            if self._stop.is_set():
                break
            running.add(pool.submit(self._drive, item))
            if len(running) >= self._state.batch.spec.parallelism:
                running = _reap(running)
        while running:
            running = _reap(running)

    def _started(self) -> RunStarted:
        finished = sum(item.status().terminal for item in self._state.items())
        batch = self._state.batch
        return RunStarted(
            batch=batch.metadata.name,
            items=len(batch.spec.commits),
            finished=finished,
            mode=batch.spec.template.mode,
        )

    def _unfinished(self) -> Iterator[Item]:
        return (item for item in self._state.items() if not item.status().terminal)

    def _drive(self, item: Item) -> None:
        """One item, from where its status says it is to its end, or to where the run is stopped."""
        write_model(item.workspace.item, item.spec)
        plan, status = self._plan_of(item), item.status()
        observed: tuple[ObservedJob, ...] = ()
        while not status.terminal:
            now = self._clock()
            decision = decide(plan, status, observed, now)
            if decision.status != status:
                status = decision.status
                write_model(item.workspace.status, status)
            observed = ()
            for action in decision.actions:
                if self._stop.is_set():
                    return
                if isinstance(action, Start):
                    observed = (self._attempt(item, plan, action),)
            if not decision.actions and not status.terminal and not self._pause(now, decision.requeue_at):
                return
        self._end(item, status)

    def _attempt(self, item: Item, plan: ItemPlan, start: Start) -> ObservedJob:
        self._tell(StageStarted(item=item.item_id, stage=start.stage, attempt=start.attempt))
        request = StageRequest(
            item_id=item.item_id,
            run_id=item.run_id,
            stage=start.stage,
            attempt=start.attempt,
            spec=item.spec,
            deadline_seconds=plan.deadline(start.stage),
            feedback=start.feedback,
        )
        result = self._run_stage(item, request)
        return ObservedJob(start.stage, start.attempt, JobState.ENDED, result)

    def _pause(self, now: datetime, until: datetime | None) -> bool:
        """Wait for a back-off; False when there is nothing to wait for, or the run was stopped meanwhile."""
        if until is None:
            return False
        return not self._stop.wait((until - now).total_seconds())

    def _end(self, item: Item, status: CommitBenchmarkStatus) -> None:
        outcome = status.outcome
        assert outcome is not None  # it is terminal
        reason = Reason(outcome.reason)
        self._tell(
            ItemEnded(
                item=item.item_id,
                reason=reason,
                message=outcome.message,
                result=status.result,
                measured_usd=status.cost.measured_usd,
            )
        )
        if self._state.batch.spec.fail_fast and reason.consequence.family is not Family.DONE:
            self._stop.set()


def _reap(running: set[Future[None]]) -> set[Future[None]]:
    done, pending = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return pending
