"""From the probe's result to the record: kept samples, and the measurement with its verdict."""

from collections.abc import Mapping
from typing import Any

from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import Reason
from isobench.contracts.record import Arm, ArmResult, Measurement, Sampling
from isobench.contracts.spec import TimingSpec
from isobench.engine.samples import TimedSample
from isobench.engine.verdict import Judgement, judge

ProbeResult = Mapping[str, Any]


def durations_of(result: ProbeResult) -> dict[Arm, list[float]]:
    """Printed milliseconds per arm in the order of the blocks, warm-up left out; a failed arm has none."""
    durations: dict[Arm, list[float]] = {arm: [] for arm in result["arms"]}
    for sample in _kept(result):
        durations[sample["arm"]].append(sample["printed_ms"])
    return {arm: [] if result["arms"][arm]["reason"] else values for arm, values in durations.items()}


def measurement_of(
    result: ProbeResult, timing: TimingSpec, prepared: Prepared, adapted: Mapping[Arm, dict[str, str]]
) -> Measurement:
    """Everything that the samples say, and how they came about."""
    failed = {arm for arm, outcome in result["arms"].items() if outcome["reason"]}
    judgement = judge(
        [_sample(sample, result) for sample in _kept(result) if sample["arm"] not in failed], timing.margin
    )
    reason, notes = _reason(result, judgement)
    return Measurement(
        verdict=None if reason else judgement.verdict,
        reason=reason,
        comparisons=list(judgement.comparisons),
        control=judgement.control,
        arms={arm: _arm(outcome) for arm, outcome in result["arms"].items()} | _not_built(prepared),
        sampling=_sampling(result, timing),
        main_commit=prepared.commits.main_commit,
        machine=dict(result["machine"]),
        isolation=dict(result["isolation"]),
        instructions=_instructions(result),
        adapted_imports=dict(adapted) or None,
        notes=[*notes, *prepared.notes],
    )


def _kept(result: ProbeResult) -> list[Mapping[str, Any]]:
    return [sample for sample in result["samples"] if sample["block"] >= 0]


def _sample(sample: Mapping[str, Any], result: ProbeResult) -> TimedSample:
    return TimedSample(
        block=sample["block"],
        arm=sample["arm"],
        printed_ms=sample["printed_ms"],
        digit_ms=sample["digit_ms"],
        iterations=sample["iterations"],
        wall_ms=sample["wall_ms"],
        cpu_ms=sample["cpu_ms"],
        result_sha256=result["arms"][sample["arm"]]["result_sha256"],
    )


def _reason(result: ProbeResult, judgement: Judgement) -> tuple[Reason | None, list[str]]:
    """Why base:head is no measurement, or None; a sentence for that and for every other comparison that is none."""
    notes = [f"{missing.arms[0]}:{missing.arms[1]}: {missing.message}" for missing in judgement.unmeasured]
    for arm in ("base", "head"):
        outcome = result["arms"].get(arm)
        if outcome is not None and outcome["reason"]:
            return Reason(outcome["reason"]), [f"{arm}: {outcome['message']}", *notes]
    if judgement.failure is not None and "agent" not in judgement.failure.arms:
        return judgement.failure.reason, notes
    if judgement.verdict is None:
        return Reason.TOO_SLOW, [result["message"], *notes]
    return None, notes


def _arm(outcome: Mapping[str, Any]) -> ArmResult:
    return ArmResult(
        reason=Reason(outcome["reason"]) if outcome["reason"] else None,
        message=outcome["message"] or None,
        result_sha256=outcome["result_sha256"],
        output_tail=outcome["output_tail"] if outcome["reason"] else None,
    )


def _not_built(prepared: Prepared) -> dict[Arm, ArmResult]:
    return {arm.name: ArmResult(reason=arm.reason, message=arm.message) for arm in prepared.arms if not arm.ready}


def _sampling(result: ProbeResult, timing: TimingSpec) -> Sampling:
    blocks = {sample["block"] for sample in _kept(result)}
    return Sampling(
        seed=result["seed"],
        blocks=len(blocks),
        warmup=timing.warmup,
        stop=result["stop"],
        cores=list(result["cores"]),
        dropped={entry["arm"]: entry["reason"] for entry in result["dropped"]},
    )


def _instructions(result: ProbeResult) -> dict[Arm, list[int]] | None:
    counted: dict[Arm, list[int]] = {}
    for sample in _kept(result):
        if "instructions" in sample:
            counted.setdefault(sample["arm"], []).append(sample["instructions"])
    return counted or None
