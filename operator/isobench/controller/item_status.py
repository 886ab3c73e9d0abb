"""When a status is worth a write: what changed must matter to a person or to the next decision. Pure."""

import re

from isobench.contracts.status import CommitBenchmarkStatus, StageState, StageStatus, Waiting
from isobench.controller.item import Item
from isobench.controller.jobs.names import job_name
from isobench.engine.transitions import PAID

_NUMBER = re.compile(r"\d+(\.\d+)?")


def completed(item: Item, status: CommitBenchmarkStatus) -> CommitBenchmarkStatus:
    """``status`` with what follows from the object: the generation that it answers, and its Jobs' names."""
    stages = [
        stage
        if stage.job_name
        else stage.model_copy(update={"job_name": job_name(item.name, item.uid, stage.name, stage.attempt)})
        for stage in status.stages
    ]
    generation = item.object["metadata"].get("generation")
    return status.model_copy(update={"stages": stages, "observed_generation": generation})


def worth_writing(before: CommitBenchmarkStatus, after: CommitBenchmarkStatus) -> bool:
    """Whether ``after`` says anything new.

    That a free stage runs is not worth a write of its own: its end says it too. Of paid work it is: only a Job that
    was seen can be missed later.
    """
    return _essence(before) != _essence(after)


def just_ended(before: CommitBenchmarkStatus, after: CommitBenchmarkStatus) -> list[StageStatus]:
    """The attempts that ``after`` says have ended, and ``before`` does not."""
    known = {(stage.name, stage.attempt) for stage in before.stages if stage.state.final}
    return [stage for stage in after.stages if stage.state.final and (stage.name, stage.attempt) not in known]


def _essence(status: CommitBenchmarkStatus) -> CommitBenchmarkStatus:
    stages = list(status.stages)
    if stages and stages[-1].state is StageState.RUNNING and stages[-1].name not in PAID:
        stages[-1] = stages[-1].model_copy(update={"state": StageState.CREATING, "job_uid": None})
    waiting = _coarse(status.waiting) if status.waiting else None
    return status.model_copy(update={"stages": stages, "waiting": waiting})


def _coarse(waiting: Waiting) -> Waiting:
    """A place in a queue is worth telling when it has halved, a sentence when more than its numbers has changed.

    The scheduler's sentence changes all the time.
    """
    position = waiting.position.bit_length() if waiting.position else None
    said = "" if waiting.why == "Unschedulable" else _NUMBER.sub("#", waiting.message)
    return Waiting(why=waiting.why, position=position, message=said)
