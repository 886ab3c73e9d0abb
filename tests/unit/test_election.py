"""Leader election: at most one process may write at any moment, whoever dies, sleeps or has a wrong clock."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from isobench.controller.api_errors import AlreadyExists, Conflict, NotLeading, Unavailable
from isobench.controller.election import Election, Timing
from isobench.controller.settings import ControllerSettings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIMING = Timing()


@dataclass
class LeaseServer:
    """One Lease with the API server's optimistic locking."""

    lease: dict | None = None
    version: int = 0
    down: bool = False
    writes: list[str] = field(default_factory=list)

    def _answer(self):
        if self.down:
            raise Unavailable("the API server is away")

    async def get(self, kind, namespace, name):
        self._answer()
        return self.lease

    async def create(self, kind, namespace, manifest):
        self._answer()
        if self.lease is not None:
            raise AlreadyExists("it is there")
        return self._write(manifest)

    async def replace(self, kind, item):
        self._answer()
        if self.lease is None or item["metadata"]["resourceVersion"] != str(self.version):
            raise Conflict("it has changed")
        return self._write(item)

    def _write(self, item):
        self.version += 1
        self.writes.append(item["spec"]["holderIdentity"])
        self.lease = item | {"metadata": item["metadata"] | {"resourceVersion": str(self.version)}}
        return self.lease


class Replicas:
    """Two processes, one Lease, and time that passes when a test says so."""

    def __init__(self):
        self.now = 0.0
        self.server = LeaseServer()
        self.a, self.b = self.candidate("a"), self.candidate("b", wrong_by=timedelta(hours=1))

    def candidate(self, identity, wrong_by=timedelta(0)):
        return Election(
            self.server,
            ControllerSettings(identity=identity),
            lambda: NOON + wrong_by + timedelta(seconds=self.now),
            lambda: self.now,
            TIMING,
        )

    @staticmethod
    def attempt(candidate):
        return asyncio.run(candidate.attempt())


@pytest.fixture
def replicas():
    return Replicas()


def test_the_first_takes_the_lease_and_the_second_waits(replicas):
    assert replicas.attempt(replicas.a)
    assert not replicas.attempt(replicas.b)
    assert replicas.a.leading
    with pytest.raises(NotLeading, match="isobench-isobench"):
        replicas.b.check()


def test_a_dead_leader_is_followed_after_the_duration_and_not_before(replicas):
    replicas.attempt(replicas.a)
    replicas.attempt(replicas.b)
    replicas.now = TIMING.duration - 0.1
    assert not replicas.attempt(replicas.b)
    replicas.now = TIMING.duration
    assert replicas.attempt(replicas.b)
    assert replicas.server.lease["spec"]["leaseTransitions"] == 1


def test_a_candidate_counts_from_the_last_renewal_that_it_saw(replicas):
    replicas.attempt(replicas.a)
    replicas.attempt(replicas.b)
    replicas.now = 9.0
    replicas.attempt(replicas.a)
    replicas.now = 10.0
    replicas.attempt(replicas.b)
    replicas.now = 10.0 + TIMING.duration - 0.1
    assert not replicas.attempt(replicas.b)


def test_a_paused_leader_finds_that_it_may_not_write_and_can_not_renew(replicas):
    replicas.attempt(replicas.a)
    replicas.attempt(replicas.b)
    replicas.now = 60.0
    assert replicas.attempt(replicas.b)
    with pytest.raises(NotLeading):
        replicas.a.check()
    assert not replicas.attempt(replicas.a)


def test_a_leader_that_can_not_renew_stops_before_another_may_take_over(replicas):
    replicas.attempt(replicas.a)
    replicas.server.down = True
    replicas.now = TIMING.renew_within
    assert not replicas.a.leading
    assert TIMING.renew_within < TIMING.duration


def test_holding_ends_with_not_leading_when_the_lease_can_not_be_renewed(replicas):
    quick = Election(
        replicas.server,
        ControllerSettings(identity="quick"),
        lambda: NOON,
        lambda: replicas.now,
        Timing(duration=15, renew_within=10, retry=0),
    )
    replicas.attempt(quick)
    replicas.now = 11.0
    with pytest.raises(NotLeading):
        asyncio.run(quick.hold())


def test_a_lease_that_is_let_go_is_free_at_once(replicas):
    replicas.attempt(replicas.a)
    replicas.attempt(replicas.b)
    asyncio.run(replicas.a.release())
    assert not replicas.a.leading
    assert replicas.attempt(replicas.b)


def test_a_process_that_comes_back_under_its_name_goes_on_at_once(replicas):
    replicas.attempt(replicas.a)
    assert replicas.attempt(replicas.candidate("a"))


def test_a_renewal_whose_answer_was_lost_is_no_loss_of_the_lease(replicas):
    replicas.attempt(replicas.a)
    replicas.server._write(replicas.server.lease)
    replicas.now = 2.0
    assert replicas.attempt(replicas.a)
    assert replicas.a.leading


def test_renewing_costs_one_request(replicas):
    replicas.attempt(replicas.a)
    replicas.now = 2.0
    replicas.attempt(replicas.a)
    assert replicas.server.writes == ["a", "a"]


class NeverTwoLeaders(RuleBasedStateMachine):
    """Processes try, sleep and die at any time, and the API server goes away and comes back."""

    @initialize()
    def begin(self):
        self.replicas = Replicas()

    @rule(who=st.sampled_from("ab"), answers=st.booleans())
    def attempt(self, who, answers):
        self.replicas.server.down = not answers
        try:
            self.replicas.attempt(getattr(self.replicas, who))
        except Unavailable:
            assert not answers

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0, 9.9, 10.0, 15.0, 16.0]))
    def time_passes(self, seconds):
        self.replicas.now += seconds

    @rule(who=st.sampled_from("ab"))
    def let_go(self, who):
        self.replicas.server.down = False
        asyncio.run(getattr(self.replicas, who).release())

    @invariant()
    def at_most_one_may_write(self):
        assert not (self.replicas.a.leading and self.replicas.b.leading)


TestNeverTwoLeaders = NeverTwoLeaders.TestCase
TestNeverTwoLeaders.settings = hypothesis_settings(max_examples=40, deadline=None)
