"""The transition table: where an item goes from a stage that ended, and how an ending is told.

An item passes its plan's stages in order. Each attempt at a stage ends in one of five ways, and the pair
(stage, ending) says the move:

- it *succeeded*: on to the next stage of the plan;
- it broke for a *transient* reason (infrastructure, network) and has not been tried again yet: again, after a back-off;
- the test that a model wrote was *refused*, at once or by `validate`, and repairs are left: to `generate` again, with
  the reason's text;
- the item does not *merit* an agent (the human change is not faster), or the agent came to nothing: on to `timing`,
  without it;
- it is *final*: to `collect`, which every path ends with, so that a skipped item too leaves its journal.
"""

from collections.abc import Mapping
from enum import StrEnum

from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, StageStatus

ATTEMPTS = 2
GENERATIONS = 3


class Ending(StrEnum):
    """How an attempt at a stage ended, as far as the next move depends on it."""

    SUCCEEDED = "succeeded"
    TRANSIENT = "transient"
    REFUSED = "refused"
    UNMERITED = "unmerited"
    FINAL = "final"


class Move(StrEnum):
    """Where an item goes from an ended attempt."""

    NEXT = "next"
    AGAIN = "again"
    REPAIR = "repair"
    TIME = "time"
    COLLECT = "collect"
    FINISH = "finish"


_ORDINARY = {
    Ending.SUCCEEDED: Move.NEXT,
    Ending.TRANSIENT: Move.AGAIN,
    Ending.FINAL: Move.COLLECT,
}
_ATTEMPT_OF_AN_AGENT = {
    Ending.SUCCEEDED: Move.NEXT,
    Ending.TRANSIENT: Move.AGAIN,
    Ending.FINAL: Move.TIME,
}
TABLE: Mapping[StageName, Mapping[Ending, Move]] = {
    StageName.PREPARE: _ORDINARY,
    StageName.GENERATE: _ORDINARY | {Ending.REFUSED: Move.REPAIR},
    StageName.VALIDATE: _ORDINARY | {Ending.REFUSED: Move.REPAIR, Ending.UNMERITED: Move.TIME},
    StageName.AGENT: _ATTEMPT_OF_AN_AGENT,
    StageName.BUILD_AGENT: _ATTEMPT_OF_AN_AGENT,
    StageName.TIMING: _ORDINARY,
    StageName.COLLECT: {
        Ending.SUCCEEDED: Move.FINISH,
        Ending.TRANSIENT: Move.AGAIN,
        Ending.FINAL: Move.FINISH,
    },
}

TEST_MAKERS = frozenset({StageName.GENERATE, StageName.VALIDATE})
PAID = frozenset({StageName.GENERATE, StageName.AGENT})


def ending_of(status: CommitBenchmarkStatus, ended: StageStatus) -> Ending:
    """How ``ended``, the last attempt of ``status``, ended."""
    if ended.state is StageState.SUCCEEDED:
        return Ending.SUCCEEDED
    reason = ended.reason or Reason.INFRASTRUCTURE_ERROR
    if reason.consequence.retried and ended.name not in PAID and _transient_tries(status, ended) < ATTEMPTS:
        return Ending.TRANSIENT
    if ended.name is StageName.VALIDATE and reason is Reason.HUMAN_NOT_FASTER:
        return Ending.UNMERITED
    generations = sum(attempt.name is StageName.GENERATE for attempt in status.stages)
    if ended.name in TEST_MAKERS and reason.consequence.family is Family.TEST and 0 < generations < GENERATIONS:
        return Ending.REFUSED
    return Ending.FINAL


def _transient_tries(status: CommitBenchmarkStatus, ended: StageStatus) -> int:
    """How many tries in a row at this stage broke, this one included."""
    tries = 0
    for attempt in reversed(status.stages):
        if attempt.name is not ended.name:
            break
        tries += 1
    return tries
