"""The outcome of an attempt: exactly one, by the order of `AgentOutcome`, from everything that was found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isobench.contracts.attempt import AgentOutcome, Attempt, Finding
from isobench.contracts.reasons import Reason
from isobench.engine.agent_end import AgentEnd

EVIDENCE_CHARACTERS = 500
EVIDENCE_LISTED = 50

_ORDER = {outcome: place for place, outcome in enumerate(AgentOutcome)}
_REASONS = {
    AgentOutcome.LLM_UNAUTHORIZED: Reason.MODEL_UNAUTHORIZED,
    AgentOutcome.LLM_UNAVAILABLE: Reason.MODEL_UNAVAILABLE,
    AgentOutcome.BUDGET_EXHAUSTED: Reason.BUDGET_EXHAUSTED,
}


@dataclass(frozen=True, slots=True)
class Verification:
    """What the patch did in a fresh tree; ``doubt`` is why it is not known to be right, None when it is."""

    doubt: str | None
    evidence: str = ""
    refuted: bool = False
    """It does not build, or is known to be wrong: there is nothing to time."""
    tampered: bool = False
    """It changed what it is compared with."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one way of checking a patch says: for it, against it, or why it can't tell."""

    proof: str = ""
    objection: str = ""
    lack: str = ""


def verification_of(checks: Sequence[Check]) -> Verification:
    """One objection suffices; without any, one proof does."""
    if objections := [check.objection for check in checks if check.objection]:
        return Verification(objections[0], refuted=True)
    if proofs := [check.proof for check in checks if check.proof]:
        return Verification(None, "; ".join(proofs))
    return Verification("; ".join(check.lack for check in checks if check.lack) or "nothing could be checked")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was found of an attempt."""

    end: AgentEnd
    stopped: str | None = None
    """The bound by which the supervisor ended it."""
    out_of_time: bool = False
    tampering: Sequence[str] = ()
    off_target: Sequence[str] = ()
    changed: Sequence[str] = ()
    verification: Verification | None = None
    """None: the patch was not tried yet."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome with its sentence, and all that held."""

    outcome: AgentOutcome
    message: str
    held: tuple[Finding, ...]


def judge(evidence: Evidence) -> Judgement:
    """The outcome of an attempt; what was not tried yet is `unverified`."""
    found = sorted(_findings(evidence), key=lambda finding: _ORDER[finding.outcome])
    held = tuple(
        finding.model_copy(update={"evidence": finding.evidence[:EVIDENCE_CHARACTERS]})
        for finding in found[:EVIDENCE_LISTED]
    )
    return Judgement(held[0].outcome, held[0].evidence, held)


def verified(attempt: Attempt, verification: Verification) -> Attempt:
    """The same attempt once its patch was tried."""
    if verification.doubt is None:
        found = Finding(outcome=AgentOutcome.SUCCEEDED, evidence=verification.evidence)
    else:
        outcome = AgentOutcome.TAMPERED if verification.tampered else AgentOutcome.UNVERIFIED
        found = Finding(outcome=outcome, evidence=verification.doubt[:EVIDENCE_CHARACTERS])
    tried = (AgentOutcome.UNVERIFIED, AgentOutcome.SUCCEEDED)
    others = (finding for finding in attempt.held if finding.outcome not in tried)
    held = sorted([*others, found], key=lambda finding: _ORDER[finding.outcome])
    return attempt.model_copy(update={"outcome": held[0].outcome, "message": held[0].evidence, "held": held})


def reason_of(outcome: AgentOutcome) -> Reason:
    """The reason by which a stage ends after an attempt of this outcome."""
    return _REASONS.get(outcome, Reason.AGENT_ERROR)


def _findings(evidence: Evidence) -> Iterator[Finding]:
    yield from (Finding(outcome=AgentOutcome.TAMPERED, evidence=what) for what in evidence.tampering)
    yield from _ending(evidence)
    yield from (
        Finding(outcome=AgentOutcome.OFF_TARGET, evidence=f"{path} is no target; the change is left out")
        for path in evidence.off_target
    )
    if not evidence.changed:
        yield Finding(outcome=AgentOutcome.NO_CHANGE, evidence="no target was changed")
    elif evidence.verification is None:
        yield Finding(outcome=AgentOutcome.UNVERIFIED, evidence="the patch was not tried yet")
    elif evidence.verification.doubt is not None:
        yield Finding(outcome=AgentOutcome.UNVERIFIED, evidence=evidence.verification.doubt)
    else:
        yield Finding(outcome=AgentOutcome.SUCCEEDED, evidence=evidence.verification.evidence)


def _ending(evidence: Evidence) -> Iterator[Finding]:
    if evidence.stopped is not None:
        outcome = AgentOutcome.TIMED_OUT if evidence.out_of_time else AgentOutcome.CRASHED
        yield Finding(outcome=outcome, evidence=evidence.stopped)
        if evidence.end.how == "crashed":  # that is how a process looks that was ended
            return
    if not evidence.end.finished:
        message = evidence.end.message or evidence.end.how.replace("_", " ")
        yield Finding(outcome=AgentOutcome(evidence.end.how), evidence=message)
