"""One item's reconcile: observe, decide, write what was decided, then act on it.

Nothing is done that no written status claims; every write is bound to the version of the object that it was decided
on. The cache holds our own writes, so that a decision never lags behind the one before it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, Waiting
from isobench.controller import item_jobs
from isobench.controller.admission import Admission
from isobench.controller.app import Parts
from isobench.controller.item import Item, read_status
from isobench.controller.item_actions import Actions, NotYet, expires_at, refusal
from isobench.controller.item_observation import Observation, observe
from isobench.controller.item_report import Reporter
from isobench.controller.item_status import completed, just_ended, worth_writing
from isobench.controller.item_sweep import Sweeper
from isobench.controller.item_unspent import Unspent
from isobench.controller.kinds import ITEMS, Key, Object
from isobench.engine.account import EXHAUSTED
from isobench.engine.conditions import with_answers
from isobench.engine.endings import condition_of, with_condition
from isobench.engine.facts import Decision, Gates, ObservedJob, Start
from isobench.engine.machine import ask_again, decide
from isobench.engine.transitions import PAID

SOON_SETTLED, LATE_SETTLED = timedelta(seconds=1), timedelta(seconds=15)
"""How long who waits for an ended try to be settled waits before it looks again: at first, and then."""


@dataclass(frozen=True)
class _Known:
    """An item as it is written: what the next step is decided from."""

    item: Item
    status: CommitBenchmarkStatus


class ItemReconciler:
    """Moves items along, one step a call."""

    def __init__(self, parts: Parts, admission: Admission, actions: Actions) -> None:
        """``actions`` is what touches the cluster beside the status."""
        self._api, self._cache, self._clock = parts.api, parts.cache, parts.clock
        self._settings = parts.settings
        self._admission = admission
        self._actions = actions
        self._report = Reporter(parts.api, parts.metrics)
        self._sweeper = Sweeper(parts)
        self._unspent = Unspent(parts.api, parts.clock)
        self._unsettled: set[Key] = set()

    async def reconcile(self, key: Key) -> datetime | None:
        """Bring the item a step on; say when to look again if nothing wakes it earlier."""
        found = self._cache.items.get(key)
        if found is None:
            self._unsettled.discard(key)
            self._unspent.forget(key)
            self._admission.gone(key)
            return await self._sweeper.gone(key)
        self._sweeper.seen(key, found)
        if found["metadata"].get("deletionTimestamp"):
            return None  # everything of it goes by its owner references
        try:
            status = read_status(found)
        except InvalidInput as problem:
            await self._report.newer(found, problem)
            return None
        try:
            item = Item.read(found)
        except InvalidInput as problem:
            return await self._refuse(found, status, problem)
        return await self._advance(_Known(item, status))

    async def _advance(self, known: _Known) -> datetime | None:
        status = self._asked_again(known)
        if status.terminal:
            return await self._rest(known)
        unsettled = self._admission.unsettled(known.item.object) if known.status.terminal else None
        if unsettled is not None:
            return await self._until_settled(known, unsettled)
        self._unsettled.discard(Key.of(ITEMS, known.item.object))
        seen = await observe(self._api, self._cache, known.item, status, self._clock(), self._settings)
        jobs = [await self._unspent.looked_for(known.item, job) for job in seen.jobs]
        return await self._step(known, status, replace(seen, jobs=tuple(jobs)))

    async def _until_settled(self, known: _Known, waiting: Waiting) -> datetime:
        """It takes a moment as a rule; a retry that waits for longer says so, though it still looks ended."""
        self._admission.ended(known.item.object)
        key = Key.of(ITEMS, known.item.object)
        if key not in self._unsettled:
            self._unsettled.add(key)
            return self._clock() + SOON_SETTLED
        after = known.status.model_copy(update={"waiting": waiting})
        if worth_writing(known.status, after):
            await self._api.put_status(ITEMS, known.item.object, after.manifest())
        return self._clock() + LATE_SETTLED

    def _asked_again(self, known: _Known) -> CommitBenchmarkStatus:
        """The status to decide from: the written one, or its new beginning when a person asked for one."""
        item, status = known.item, known.status
        if item.retry is None or item.retry == status.retried:
            return status
        collect = status.latest(StageName.COLLECT)
        stored = collect is not None and collect.state is StageState.SUCCEEDED
        kept = bool(item.spec.workspace.claim_name) or not stored
        return ask_again(item.plan, status, item.retry, self._clock(), workspace_kept=kept)

    async def _step(self, known: _Known, status: CommitBenchmarkStatus, seen: Observation) -> datetime | None:
        """Decide and act until there is nothing to do now; what can't be started at all is an ending of its own."""
        jobs = seen.jobs
        while True:
            decision = self._decide(known.item, status, jobs)
            after = self._answered(known, decision.status, jobs, seen)
            started = [action for action in decision.actions if isinstance(action, Start)]
            claimed = len(after.stages) > len(known.status.stages)
            if claimed or not started:
                known = await self._write(known, after)
            await self._actions.tidy(known.item, known.status)
            if not started:
                return _earliest(decision.requeue_at, seen.look_at, await self._rest_of(known))
            try:
                refused = await self._actions.start(known.item, after, started[0], alone=claimed and seen.settled)
            except NotYet as wait:
                await self._write(known, after.model_copy(update={"waiting": wait.waiting}))
                return self._clock() + timedelta(seconds=wait.seconds)
            if refused is None:
                await self._write(known, after)
                # What a queue holds back does not change: nobody would wake us to say so.
                return self._clock() + (item_jobs.FIRST_LOOK if known.item.spec.queue_name else item_jobs.NOT_BEGUN)
            jobs, status = (refused,), known.status

    def _decide(self, item: Item, status: CommitBenchmarkStatus, jobs: tuple[ObservedJob, ...]) -> Decision:
        """The next step as far as it is allowed; money is asked for only when the next step is to cost some."""
        now = self._clock()
        start = self._admission.may_start(item.object, now)
        free = decide(item.plan, status, jobs, now, Gates(start))
        last = free.status.stages[-1] if free.status.stages else None
        if last is None or last.name not in PAID or not free.actions:
            return free
        held = self._admission.may_pay(item.object, last.name)
        if held is None:
            return free
        if held.why == EXHAUSTED:
            refused = refusal(last.name, last.attempt, Reason.BUDGET_EXHAUSTED, held.message, now)
            return decide(item.plan, free.status, (refused,), now, Gates(start))
        return decide(item.plan, status, jobs, now, Gates(start, held))

    def _answered(
        self, known: _Known, after: CommitBenchmarkStatus, jobs: tuple[ObservedJob, ...], seen: Observation
    ) -> CommitBenchmarkStatus:
        """``after`` with the answers of the attempts that have just ended, and all that follows from the object."""
        results = {(job.stage, job.attempt): job.result for job in jobs}
        for ended in just_ended(known.status, after):
            result = results.get((ended.name, ended.attempt))
            after = with_answers(known.item.plan, after, ended, result, self._clock())
            if ended.name is StageName.PREPARE and seen.image:
                after = after.model_copy(update={"image": seen.image})
        return completed(known.item, after)

    async def _write(self, known: _Known, after: CommitBenchmarkStatus) -> _Known:
        """Write ``after`` if it says anything new, and tell whoever wants to know."""
        if not worth_writing(known.status, after):
            return known
        if after.terminal:
            await self._actions.release(known.item, after)
        written = await self._api.put_status(ITEMS, known.item.object, after.manifest())
        await self._report.written(written, known.status, after)
        if after.terminal:
            await self._actions.let_go(known.item, after)
        return _Known(replace(known.item, object=written), after)

    async def _refuse(self, found: Object, status: CommitBenchmarkStatus, problem: InvalidInput) -> datetime | None:
        if not status.terminal:
            answer = condition_of("Succeeded", "False", Reason.INVALID_SPEC.value, self._clock(), str(problem)[:1024])
            generation = found["metadata"].get("generation")
            update = {"conditions": with_condition(status.conditions, answer), "observed_generation": generation}
            after = status.model_copy(update=update | {"waiting": None})
            written = await self._api.put_status(ITEMS, found, after.manifest())
            await self._report.written(written, status, after)
            found = written
        await self._actions.stop(found)
        return await self._expire(found)

    async def _rest(self, known: _Known) -> datetime | None:
        """An item that has ended: what is left of it goes."""
        await self._actions.tidy(known.item, known.status)
        return await self._rest_of(known)

    async def _rest_of(self, known: _Known) -> datetime | None:
        if not known.status.terminal:
            return None
        return await self._expire(known.item.object)

    async def _expire(self, item: Object) -> datetime | None:
        """Delete an item that has ended when its time is over and what it came to is entered elsewhere."""
        self._admission.ended(item)
        due, now = expires_at(item), self._clock()
        if due is None or now < due:
            return due
        if not self._admission.is_entered(item):
            return now + SOON_SETTLED
        await self._actions.expire(item)
        return None


def _earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
