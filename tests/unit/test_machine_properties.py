"""The transition table against a cluster that does whatever it likes: crashes, losses, people, money that runs out.

The test plays both sides: an operator that decides, writes and acts, and may die between any two of these; and a
cluster in which Jobs end in any way, disappear, or can't be created.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from building.items import NOON, SECOND, result, spec
from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus, Cost, StageName, Waiting
from isobench.engine.facts import Failure, Gates, JobState, ObservedJob, Start
from isobench.engine.machine import BACK_OFF, ask_again, decide
from isobench.engine.plan import plan_item
from isobench.engine.transitions import PAID

CAP = 1.0
ATTEMPTS_WITHOUT_A_PERSON = 18
"""What no item exceeds by itself: 2 prepare, 3 generate, 6 validate, 1 agent, 2 build-agent, 2 timing, 2 collect."""

transient = [reason for reason in Reason if reason.consequence.retried]
fates = st.sampled_from([None, *transient, *transient, *Reason])


@dataclass
class Job:
    """An attempt in the cluster."""

    stage: StageName
    attempt: int
    ended: bool = False
    reason: Reason | None = None
    readable: bool = True
    deleted: bool = False

    def seen(self, uid):
        if self.deleted:
            gone = Failure(Reason.STAGE_LOST, "its Job was deleted")
            return ObservedJob(self.stage, self.attempt, JobState.GONE, failure=gone)
        if not self.ended:
            return ObservedJob(self.stage, self.attempt, JobState.RUNNING, uid=uid, bounded=True)
        cost = Cost(measured_usd=CAP / 4) if self.stage in PAID else None
        told = result(self.stage, self.attempt, self.reason, cost=cost) if self.readable else None
        return ObservedJob(self.stage, self.attempt, JobState.ENDED, told, uid=uid, bounded=True)


@dataclass
class World:
    """What is true: the written status, the Jobs, the money, and what a person has asked for."""

    status: CommitBenchmarkStatus = field(default_factory=CommitBenchmarkStatus)
    jobs: dict[tuple[StageName, int], Job] = field(default_factory=dict)
    now: object = NOON
    suspended: bool = False
    money: bool = True
    asked: int = 0


class Item(RuleBasedStateMachine):
    """One item from its creation to wherever chance leads."""

    @initialize(generated=st.booleans(), attempted=st.sampled_from([True, True, False]))
    def begin(self, generated, attempted):
        asked = {"mode": "online", "agent": {"enabled": attempted}}
        if generated:
            asked["test"] = {"generate": {"provider": "local"}}
        self.spec = spec(**asked)
        self.world = World()
        self.paid = {}

    @property
    def plan(self):
        return plan_item(self.spec, test_supplied=False, suspended=self.world.suspended)

    @property
    def observed(self):
        stages = self.world.status.stages
        job = self.world.jobs.get((stages[-1].name, stages[-1].attempt)) if stages else None
        if job is None or (job.deleted and stages[-1].job_uid is None):
            return ()
        return (job.seen("uid"),)

    def decide(self):
        gates = Gates(pay=None if self.world.money else Waiting(why="Budget"))
        decision = decide(self.plan, self.world.status, self.observed, self.world.now, gates)
        again = decide(self.plan, self.world.status, self.observed, self.world.now, gates)
        assert decision == again, "asked twice with the same facts it answers the same"
        return decision

    @rule(dies_after_writing=st.booleans())
    def reconcile(self, dies_after_writing):
        decision = self.decide()
        self.world.status = decision.status
        if dies_after_writing:
            return
        for action in decision.actions:
            assert isinstance(action, Start), "a Job's own clock ends it"
            self.create(action)

    def create(self, start):
        """A name that is taken is success: the Job is this item's, by its UID."""
        key = (start.stage, start.attempt)
        if key in self.world.jobs and not self.world.jobs[key].deleted:
            return
        assert not [job for job in self.live() if (job.stage, job.attempt) != key], "never two live Jobs of one item"
        job = self.world.jobs[key] = Job(*key)
        if start.stage in PAID:
            assert self.world.money, "never a paid stage after the budget is gone"
            self.pay_or_find_the_marker(job)

    def pay_or_find_the_marker(self, job):
        """The first act of a paid stage marks the attempt in the workspace; a marked one ends before any call."""
        if (job.stage, job.attempt) in self.paid:
            job.ended, job.reason = True, Reason.ALREADY_STARTED
        else:
            self.paid[job.stage, job.attempt] = self.world.asked

    def live(self):
        return [job for job in self.world.jobs.values() if not job.ended and not job.deleted]

    @precondition(lambda self: self.live())
    @rule(reason=fates, readable=st.booleans())
    def a_job_ends(self, reason, readable):
        (job,) = self.live()
        job.ended, job.reason, job.readable = True, reason, readable
        self.world.now += SECOND

    @rule(stage=st.sampled_from([*StageName, *2 * (StageName.GENERATE, StageName.AGENT)]), reason=fates)
    def all_goes_well_until(self, stage, reason):
        """Else chance would seldom come as far as an agent."""
        self.world.suspended, self.world.money = False, True
        for _ in range(len(StageName)):
            self.reconcile(dies_after_writing=False)
            for job in self.live():
                job.ended = True
                if job.stage is stage:
                    job.reason = reason
                    return

    @precondition(lambda self: self.live())
    @rule()
    def somebody_deletes_a_job(self):
        (job,) = self.live()
        job.deleted = True

    @rule(minutes=st.sampled_from([1, 60, -60]))
    def time_passes_or_is_set(self, minutes):
        self.world.now += minutes * 60 * SECOND

    @rule(suspended=st.sampled_from([True, False, False]))
    def somebody_suspends(self, suspended):
        self.world.suspended = suspended

    @rule(money=st.sampled_from([True, True, False]))
    def money_comes_and_goes(self, money):
        self.world.money = money

    @precondition(lambda self: self.world.status.terminal and self.world.asked < 2)
    @rule(kept=st.booleans())
    def somebody_asks_again(self, kept):
        self.world.asked += 1
        value = str(self.world.asked)
        before = self.world.status
        self.world.status = ask_again(self.plan, before, value, self.world.now, workspace_kept=kept)
        assert self.world.status.retried == value
        assert self.world.status.cost == before.cost, "what was spent stays spent"

    @invariant()
    def what_ended_well_is_never_done_again(self):
        if self.world.asked == 0:
            done = [stage.name for stage in self.world.status.stages if stage.state == "Succeeded"]
            assert len(set(done) - {StageName.GENERATE, StageName.VALIDATE}) == len(
                [name for name in done if name not in (StageName.GENERATE, StageName.VALIDATE)]
            )

    @invariant()
    def an_agent_is_paid_once_for_each_time_that_a_person_asked(self):
        agents = [asked for (stage, _), asked in self.paid.items() if stage is StageName.AGENT]
        assert len(agents) == len(set(agents))

    @invariant()
    def an_item_makes_a_bounded_number_of_attempts(self):
        assert len(self.world.status.stages) <= ATTEMPTS_WITHOUT_A_PERSON * (1 + self.world.asked)

    def teardown(self):
        """From wherever chance has led there is a way to an end: Jobs end, money comes, nobody holds it up."""
        if not hasattr(self, "world"):
            return
        self.world.suspended, self.world.money = False, True
        for _ in range(6 * ATTEMPTS_WITHOUT_A_PERSON):
            for job in self.live():
                job.ended = True
            self.reconcile(dies_after_writing=False)
            self.world.now += BACK_OFF
            if self.world.status.terminal:
                return
        raise AssertionError(f"no end: {self.world.status}")


TestItem = Item.TestCase
TestItem.settings = settings(derandomize=True, max_examples=400, stateful_step_count=25, deadline=None, database=None)
