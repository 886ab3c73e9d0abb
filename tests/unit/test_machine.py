"""The transition table as a specification: what follows from what, and that every path ends, once, with collect."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building.items import NOON, SECOND, result, spec
from isobench.contracts.reasons import Family, Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import (
    Artifacts,
    CommitBenchmarkStatus,
    Cost,
    ResultSummary,
    StageName,
    StageState,
    StageStatus,
    Waiting,
)
from isobench.engine.facts import Gates
from isobench.engine.machine import (
    BACK_OFF,
    GRACE,
    Decision,
    JobState,
    ObservedJob,
    Start,
    Stop,
    ask_again,
    decide,
)
from isobench.engine.plan import ItemPlan, plan_item
from isobench.engine.transitions import (
    GENERATIONS,
    PAID,
    TABLE,
    Ending,
)

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
MOST_ATTEMPTS = {PREPARE: 2, GENERATE: 3, VALIDATE: 6, AGENT: 1, BUILD_AGENT: 2, TIMING: 2, COLLECT: 2}

WELL = "it ends well"
GONE = "its job is gone"
UNREADABLE = "it ends without a readable result"
OVERDUE = "it never ends"


def plan(*, generated=False, attempted=False, suspended=False) -> ItemPlan:
    asked = {"mode": "online", "agent": {"enabled": attempted}}
    if generated:
        asked["test"] = {"generate": {"provider": "local"}}
    return plan_item(spec(**asked), test_supplied=False, suspended=suspended)


@dataclass
class Journey:
    """An item on its way: the last written status, what runs, and every attempt that was started."""

    plan: ItemPlan
    status: CommitBenchmarkStatus = field(default_factory=CommitBenchmarkStatus)
    now: object = NOON
    observed: tuple[ObservedJob, ...] = ()
    started: list[Start] = field(default_factory=list)
    stopped: list[Stop] = field(default_factory=list)

    def decide(self):
        """Decide, write the status and do what is to be done; asked twice the answer is the same."""
        decision = decide(self.plan, self.status, self.observed, self.now)
        assert decide(self.plan, self.status, self.observed, self.now) == decision
        self.status = decision.status
        for action in decision.actions:
            if isinstance(action, Stop):
                self.stopped.append(action)
            else:
                self.started.append(action)
                self.observed = (ObservedJob(action.stage, action.attempt, JobState.RUNNING),)
        return decision

    def meet(self, fate):
        """Let what runs end as ``fate`` says: one of the words above, a reason to fail, or a whole result."""
        (job,) = self.observed
        if fate == OVERDUE:
            self.now = self.decide().requeue_at
            return self
        self.now += SECOND
        if fate == GONE:
            self.observed = (replace(job, state=JobState.GONE),)
            return self
        ended = None
        if fate != UNREADABLE:
            reason = fate if isinstance(fate, Reason) else None
            ended = fate if isinstance(fate, StageResult) else result(*job_name(job), reason, started_at=self.now)
        self.observed = (replace(job, state=JobState.ENDED, result=ended),)
        return self

    def advance(self):
        """Decide, after a back-off if there is one."""
        decision = self.decide()
        if decision.status.stages and (decision.status.stages[-1].not_before or NOON) > self.now:
            self.now = decision.requeue_at
            decision = self.decide()
        return decision

    def go(self, *fates):
        """Decide, then let the started attempts meet ``fates`` one by one; back-offs are waited for."""
        self.advance()
        for fate in fates:
            self.meet(fate).advance()
        return self

    @property
    def stages(self):
        return [(start.stage, start.attempt) for start in self.started]

    @property
    def outcome(self):
        return Reason(self.status.outcome.reason) if self.status.terminal else None


def job_name(job):
    return job.stage, job.attempt


plans = st.builds(plan, generated=st.booleans(), attempted=st.booleans())
fates = st.one_of(
    st.just(WELL), st.sampled_from([WELL, GONE, UNREADABLE, OVERDUE, Reason.HUMAN_NOT_FASTER]), st.sampled_from(Reason)
)


@given(plans, st.lists(fates, min_size=sum(MOST_ATTEMPTS.values()), max_size=sum(MOST_ATTEMPTS.values())))
def test_every_path_ends_and_is_bounded_and_collects_last(item, lots):
    journey = Journey(item).go()
    for fate in lots:
        assert not journey.status.terminal
        journey.meet(fate).advance()
        if journey.status.terminal:
            break
    assert journey.status.terminal
    assert journey.started[-1].stage is COLLECT
    assert len(set(journey.stages)) == len(journey.stages), "no attempt is started twice"
    for stage, most in MOST_ATTEMPTS.items():
        assert sum(start.stage is stage for start in journey.started) <= most
    assert {start.stage for start in journey.started} <= set(item.stages)


@given(plans, st.lists(fates, max_size=12))
def test_once_an_answer_is_applied_the_same_facts_only_wait(item, lots):
    journey = Journey(item).go()
    for fate in lots:
        if journey.status.terminal:
            break
        for _ in range(2):
            waiting = journey.decide()
            assert waiting.actions == ()
            assert waiting.requeue_at > journey.now
        journey.meet(fate).advance()
    if journey.status.terminal:
        assert journey.decide() == Decision(journey.status)


@given(plans, st.lists(fates, max_size=12))
def test_a_claim_whose_start_was_never_seen_is_started_under_the_same_name(item, lots):
    journey = Journey(item).go()
    for fate in lots:
        if journey.status.terminal:
            return
        journey.meet(fate).advance()
    if not journey.status.terminal:
        again = decide(item, journey.status, (), journey.now)
        assert again.actions == (journey.started[-1],)
        assert again.status.stages == journey.status.stages


@given(plans, st.lists(fates, max_size=20))
def test_a_paid_stage_is_started_again_only_because_its_test_was_refused(item, lots):
    journey = Journey(item).go()
    for fate in lots:
        if journey.status.terminal:
            break
        journey.meet(fate).advance()
    attempts = journey.status.stages
    for before, after in pairwise(attempts):
        if after.name in PAID and after.attempt > 1:
            assert before.name in (GENERATE, VALIDATE)
            assert after.name is GENERATE
            assert before.reason.consequence.family is Family.TEST


@given(st.sampled_from(StageName), st.sampled_from(Ending))
def test_the_table_has_a_move_for_all_that_can_happen(stage, ending):
    where = {Ending.REFUSED: {GENERATE, VALIDATE}, Ending.UNMERITED: {VALIDATE}}
    assert (ending in TABLE[stage]) == (stage in where.get(ending, StageName))


@pytest.mark.parametrize(
    ("item", "stages"),
    [
        (plan(), [PREPARE, TIMING, COLLECT]),
        (plan(generated=True), [PREPARE, GENERATE, VALIDATE, TIMING, COLLECT]),
        (plan(attempted=True), [PREPARE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT]),
        (plan(generated=True, attempted=True), list(StageName)),
    ],
    ids=["offline", "generated", "attempted", "both"],
)
def test_an_item_that_meets_no_trouble_passes_its_stages_in_order_and_is_recorded(item, stages):
    journey = Journey(item).go(*[WELL] * len(stages))
    assert journey.stages == [(stage, 1) for stage in stages]
    assert journey.outcome is Reason.RECORDED
    assert journey.status.outcome.status == "True"


def test_the_status_says_where_the_item_is_before_anything_is_started():
    decision = decide(plan(), CommitBenchmarkStatus(), (), NOON)
    (claimed,) = decision.status.stages
    assert (claimed.name, claimed.attempt, claimed.state) == (PREPARE, 1, StageState.CREATING)
    assert (decision.status.outcome.status, decision.status.outcome.reason) == ("Unknown", "prepare")
    assert decision.actions == (Start(PREPARE, 1),)


def test_an_end_and_the_claim_of_what_follows_are_one_status():
    journey = Journey(plan()).go()
    decision = journey.meet(WELL).decide()
    assert [(stage.name, stage.state) for stage in decision.status.stages] == [
        (PREPARE, StageState.SUCCEEDED),
        (TIMING, StageState.CREATING),
    ]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.consequence.retried])
@pytest.mark.parametrize("stage", [PREPARE, TIMING])
def test_what_infrastructure_broke_is_tried_once_more_after_a_back_off(stage, reason):
    journey = Journey(plan()).go(*[WELL] * [PREPARE, TIMING].index(stage))
    broken = journey.meet(reason).decide()
    assert broken.actions == ()
    assert broken.requeue_at == journey.now + BACK_OFF
    journey.now = broken.requeue_at - SECOND
    assert journey.decide().actions == ()
    journey.now = broken.requeue_at
    assert journey.decide().actions == (Start(stage, 2),)
    journey.meet(reason).decide()
    assert journey.stages[-1] == (COLLECT, 1)
    journey.go(WELL)
    assert journey.outcome is reason


def test_a_back_off_ends_although_the_clock_was_set_back():
    journey = Journey(plan()).go()
    journey.meet(Reason.GIT_TRANSIENT).decide()
    journey.now -= timedelta(days=1)
    assert journey.decide().actions == (Start(PREPARE, 2),)


def test_each_stage_has_a_second_try_of_its_own():
    journey = Journey(plan()).go(GONE, WELL, Reason.STAGE_LOST, WELL, Reason.STORE_UNAVAILABLE, WELL)
    assert journey.stages == [(PREPARE, 1), (PREPARE, 2), (TIMING, 1), (TIMING, 2), (COLLECT, 1), (COLLECT, 2)]
    assert journey.outcome is Reason.RECORDED


@pytest.mark.parametrize("reason", [Reason.BUILD_FAILED, Reason.NO_TEST, Reason.COMMIT_NOT_FOUND, Reason.DISK_FULL])
def test_what_a_second_try_would_not_change_goes_straight_to_collect_with_its_reason(reason):
    journey = Journey(plan()).go(result(PREPARE, 1, reason, message="the sentence"), WELL)
    assert journey.stages == [(PREPARE, 1), (COLLECT, 1)]
    assert journey.outcome is reason
    assert journey.status.outcome.status == "False"
    assert journey.status.outcome.message == "the sentence"


def test_an_item_that_the_dataset_holds_already_has_ended_well():
    journey = Journey(plan()).go(Reason.ALREADY_RECORDED, WELL)
    assert journey.outcome is Reason.ALREADY_RECORDED
    assert journey.status.outcome.status == "True"


def test_trouble_with_storing_a_skipped_item_does_not_hide_why_it_was_skipped():
    journey = Journey(plan()).go(Reason.BUILD_FAILED, Reason.STORE_UNAVAILABLE, WELL)
    assert journey.outcome is Reason.BUILD_FAILED


def test_a_measured_item_that_can_not_be_stored_says_so():
    journey = Journey(plan()).go(WELL, WELL, Reason.DISK_FULL)
    assert journey.outcome is Reason.DISK_FULL
    assert journey.status.outcome.status == "False"


def test_a_refused_test_goes_back_to_its_writer_with_the_failures_text():
    refused = result(VALIDATE, 1, Reason.TEST_FAILED, message="NameError: name 'x' is not defined")
    journey = Journey(plan(generated=True)).go(WELL, WELL, refused)
    assert journey.started[-1] == Start(GENERATE, 2, "NameError: name 'x' is not defined")
    assert journey.started[1] == Start(GENERATE, 1, None)


def test_a_test_that_its_writer_could_not_finish_goes_back_to_it_too():
    cut_off = result(GENERATE, 1, Reason.TEST_INVALID, message="the answer was cut off")
    journey = Journey(plan(generated=True)).go(WELL, cut_off)
    assert journey.started[-1] == Start(GENERATE, 2, "the answer was cut off")
    journey.go(Reason.TEST_INVALID, Reason.TEST_INVALID, WELL)
    assert journey.stages[1:] == [(GENERATE, 1), (GENERATE, 2), (GENERATE, 3), (COLLECT, 1)]


def test_a_test_is_repaired_twice_and_then_given_up():
    journey = Journey(plan(generated=True)).go(WELL, *[WELL, Reason.NO_MEASUREMENT] * GENERATIONS, WELL)
    assert [stage for stage, _ in journey.stages].count(GENERATE) == GENERATIONS == 3
    assert journey.stages[-1] == (COLLECT, 1)
    assert journey.outcome is Reason.NO_MEASUREMENT


def test_a_supplied_test_that_is_refused_is_not_rewritten():
    journey = Journey(plan(attempted=True)).go(WELL, Reason.TEST_FAILED, WELL)
    assert journey.stages == [(PREPARE, 1), (VALIDATE, 1), (COLLECT, 1)]
    assert journey.outcome is Reason.TEST_FAILED


def test_trouble_while_validating_is_no_refusal_of_the_test():
    journey = Journey(plan(generated=True)).go(WELL, WELL, Reason.INFRASTRUCTURE_ERROR)
    assert journey.stages[-1] == (VALIDATE, 2)


def test_no_agent_is_paid_where_the_human_change_is_not_faster_and_the_record_is_made_without_one():
    journey = Journey(plan(attempted=True)).go(WELL, Reason.HUMAN_NOT_FASTER, WELL, WELL)
    assert journey.stages == [(PREPARE, 1), (VALIDATE, 1), (TIMING, 1), (COLLECT, 1)]
    assert journey.outcome is Reason.RECORDED


@pytest.mark.parametrize("reason", [Reason.AGENT_ERROR, Reason.BUDGET_EXHAUSTED, Reason.ALREADY_STARTED])
def test_an_agent_that_came_to_nothing_leaves_the_other_arms_to_be_timed(reason):
    journey = Journey(plan(attempted=True)).go(WELL, WELL, reason, WELL, WELL)
    assert journey.stages[2:] == [(AGENT, 1), (TIMING, 1), (COLLECT, 1)]
    assert journey.outcome is Reason.RECORDED


def test_an_agents_patch_that_does_not_build_leaves_the_other_arms_to_be_timed():
    journey = Journey(plan(attempted=True)).go(WELL, WELL, WELL, Reason.BUILD_FAILED, WELL, WELL)
    assert journey.stages[3:] == [(BUILD_AGENT, 1), (TIMING, 1), (COLLECT, 1)]


@pytest.mark.parametrize("fate", [GONE, UNREADABLE, OVERDUE])
def test_a_lost_paid_attempt_is_never_repeated(fate):
    journey = Journey(plan(generated=True)).go(WELL, fate, WELL)
    assert journey.stages == [(PREPARE, 1), (GENERATE, 1), (COLLECT, 1)]
    lost = journey.status.stages[1]
    assert (lost.state, lost.reason) == (StageState.LOST, Reason.PAID_ATTEMPT_LOST)
    assert journey.outcome is Reason.PAID_ATTEMPT_LOST


@pytest.mark.parametrize("fate", [GONE, UNREADABLE, OVERDUE])
def test_a_lost_paid_attempt_is_charged_at_what_its_cap_left(fate):
    paid = result(GENERATE, 1, Reason.TEST_INVALID, cost=Cost(measured_usd=0.25, prompt_tokens=7))
    journey = Journey(plan(generated=True)).go(WELL, paid, fate)
    assert journey.stages[:3] == [(PREPARE, 1), (GENERATE, 1), (GENERATE, 2)]
    assert journey.status.cost == Cost(measured_usd=1.0, prompt_tokens=7)


def test_a_paid_attempt_that_is_lost_after_a_retry_is_charged_at_its_whole_cap():
    paid = result(GENERATE, 1, Reason.TEST_INVALID, cost=Cost(measured_usd=0.25))
    journey = Journey(plan(generated=True)).go(WELL, paid, GONE, WELL)
    assert (journey.status.terminal, journey.status.cost.measured_usd) == (True, 1.0)
    journey.status = ask_again(journey.plan, journey.status, "again", journey.now, workspace_kept=True)
    journey.go(GONE)
    assert journey.status.cost.measured_usd == 2.0


def test_a_lost_agent_is_charged_at_its_cap_beside_what_the_test_cost():
    paid = result(GENERATE, 1, cost=Cost(measured_usd=0.25))
    journey = Journey(plan(generated=True, attempted=True)).go(WELL, paid, WELL, GONE)
    assert journey.status.stages[3].reason is Reason.PAID_ATTEMPT_LOST
    assert journey.status.cost.measured_usd == 1.25


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (GONE, Reason.STAGE_LOST),
        (UNREADABLE, Reason.INFRASTRUCTURE_ERROR),
        (OVERDUE, Reason.STAGE_TIMED_OUT),
    ],
)
def test_an_unpaid_attempt_that_was_lost_has_a_reason_a_sentence_and_a_second_try(fate, reason):
    journey = Journey(plan()).go(fate)
    lost = journey.status.stages[0]
    assert (lost.state, lost.reason) == (StageState.LOST, reason)
    assert lost.message
    assert journey.stages == [(PREPARE, 1), (PREPARE, 2)]


@pytest.mark.parametrize("stage", plan().stages)
def test_what_runs_past_its_deadline_is_stopped_and_not_before(stage):
    item = plan()
    journey = Journey(item).go(*[WELL] * item.stages.index(stage))
    running = journey.decide()
    started_at = journey.status.stages[-1].started_at
    assert running.requeue_at == started_at + timedelta(seconds=item.deadline(stage)) + GRACE
    journey.now = running.requeue_at - SECOND
    assert journey.decide().actions == ()
    journey.now = running.requeue_at
    journey.decide()
    assert journey.stopped == [Stop(stage, 1)]


@pytest.mark.parametrize("done", range(4))
def test_a_suspended_item_starts_nothing(done):
    journey = Journey(plan(attempted=True)).go(*[WELL] * done)
    started = list(journey.started)
    journey.plan = plan(attempted=True, suspended=True)
    if done:
        journey.meet(WELL)
        journey.decide()
    else:
        journey.observed = ()
    waiting = journey.decide()
    assert waiting.actions == ()
    assert waiting.status.waiting.why == "Suspended"
    assert journey.started == started
    journey.plan = plan(attempted=True)
    assert journey.decide().actions
    assert journey.status.waiting is None


def test_a_suspended_item_that_has_failed_is_still_collected():
    journey = Journey(plan()).go()
    journey.plan = plan(suspended=True)
    journey.go(Reason.BUILD_FAILED, WELL)
    assert journey.outcome is Reason.BUILD_FAILED


def test_collecting_again_waits_for_no_slot_because_what_it_keeps_may_be_what_others_wait_for():
    journey = Journey(plan()).go(WELL, WELL, Reason.STORE_UNAVAILABLE, Reason.STORE_UNAVAILABLE)
    asked = ask_again(journey.plan, journey.status, "again", journey.now, workspace_kept=True)
    gates = Gates(start=Waiting(why="ClusterItems", position=1))
    assert decide(journey.plan, asked, (), journey.now, gates).actions == (Start(COLLECT, 3),)


def test_overhead_is_the_time_between_the_claim_and_the_first_act_of_the_stage():
    journey = Journey(plan()).go()
    journey.go(result(PREPARE, started_at=NOON + 4 * SECOND, seconds=10))
    assert journey.status.stages[0].overhead_seconds == 4


def test_overhead_is_never_negative_although_the_clock_was_set_back():
    journey = Journey(plan()).go()
    journey.go(result(PREPARE, started_at=NOON - 3600 * SECOND))
    assert journey.status.stages[0].overhead_seconds == 0


def test_a_back_off_is_no_overhead():
    journey = Journey(plan()).go(GONE)
    began = journey.now
    journey.go(result(PREPARE, 2, started_at=began + 2 * SECOND))
    assert journey.status.stages[1].overhead_seconds == 2


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10**6)), min_size=2, max_size=2))
def test_costs_of_all_attempts_add_up(costs):
    journey = Journey(plan(generated=True)).go(WELL)
    for attempt, (dollars, tokens) in enumerate(costs, start=1):
        cost = Cost(estimate_usd=2 * dollars, measured_usd=dollars, prompt_tokens=tokens, completion_tokens=2 * tokens)
        journey.go(result(GENERATE, attempt, cost=cost), Reason.TEST_INVALID)
    total = journey.status.cost
    assert total.measured_usd == sum(dollars for dollars, _ in costs)
    assert total.estimate_usd == sum(2 * dollars for dollars, _ in costs)
    assert (total.prompt_tokens, total.completion_tokens) == tuple(n * sum(t for _, t in costs) for n in (1, 2))


def test_the_measurement_and_the_places_of_the_outputs_reach_the_status():
    summary = ResultSummary(speedup=1.5, ci_low=1.4, ci_high=1.6, verdict="faster", pairs=20)
    places = Artifacts(record_uri="file:///d.jsonl", journal_uri="file:///journal.json")
    journey = Journey(plan()).go(WELL, result(TIMING, result=summary), result(COLLECT, artifacts=places))
    assert journey.status.result == summary
    assert journey.status.artifacts == places


def test_the_time_of_an_end_is_the_stages_own_and_that_of_a_loss_when_it_was_seen():
    journey = Journey(plan()).go(result(PREPARE, seconds=5), GONE)
    assert journey.status.stages[0].finished_at == NOON + 5 * SECOND
    assert journey.status.stages[1].finished_at is not None


def test_the_fate_of_another_attempt_says_nothing_of_this_one():
    status = CommitBenchmarkStatus(
        stages=[StageStatus(name=PREPARE, attempt=2, state=StageState.RUNNING, started_at=NOON)]
    )
    stale = ObservedJob(PREPARE, 1, JobState.ENDED, result(PREPARE, 1))
    current = ObservedJob(PREPARE, 2, JobState.RUNNING)
    assert decide(plan(), status, (stale, current), NOON).actions == ()


def test_what_a_message_says_of_dollars_is_taken_up_to_the_cap_and_from_paid_stages_only():
    too_much = Cost(measured_usd=1e9, prompt_tokens=7)
    journey = Journey(plan(generated=True)).go(result(PREPARE, cost=too_much), result(GENERATE, 1, cost=too_much))
    assert journey.status.cost == Cost(measured_usd=journey.plan.cap_usd(GENERATE), prompt_tokens=7)
