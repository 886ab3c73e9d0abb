"""timing: every arm interleaved without network, then the verdict that the samples allow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isobench.adapters.files import read_json, read_model, write_model
from isobench.adapters.isolation import machine_lock
from isobench.adapters.isolation.probe_runner import ProbeRunner, Progress
from isobench.adapters.python.finished_environments import require_untouched
from isobench.contracts.attempt import AgentOutcome, Attempt
from isobench.contracts.prepared import Prepared
from isobench.contracts.record import Measurement
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import ResultSummary
from isobench.contracts.timed import Timed
from isobench.engine.probe_request import probe_request
from isobench.engine.timings import durations_of, measurement_of
from isobench.engine.workspace import Workspace
from isobench.stages.adapted_scripts import write_scripts
from isobench.stages.attempt import Clock, Done, attempt

WRAP_UP_SECONDS = 60.0


@dataclass(frozen=True)
class TimingPorts:
    """What `timing` reaches the outside world by."""

    workspace: Workspace
    clock: Clock
    probe: Callable[[Prepared], ProbeRunner]
    cores: Sequence[int]
    progress: Progress


def run(request: StageRequest, ports: TimingPorts) -> StageResult:
    """Leave `timed.json`: kept samples and, with interleaved blocks, the measurement."""
    return attempt(request, ports.clock, ports.workspace.root, lambda: _time(request, ports))


def _time(request: StageRequest, ports: TimingPorts) -> Done:
    timing = request.spec.timing
    prepared = read_model(ports.workspace.prepared, Prepared)
    if ports.workspace.finished.exists():
        require_untouched(prepared.arms, read_json(ports.workspace.finished), "the agent's arm was built")
    adapted = write_scripts(ports.workspace, prepared)
    asked = probe_request(timing, prepared, ports.workspace, ports.cores, f"{request.run_id}/{request.item_id}")
    limit = timing.timeout_seconds + timing.run_timeout_seconds + WRAP_UP_SECONDS
    with machine_lock.timing():
        result = ports.probe(prepared).run(asked, ports.workspace.probe("timing"), limit, ports.progress)
    measurement = None
    if timing.protocol == "blocks":
        measurement = measurement_of(result, timing, prepared, adapted)
    write_model(ports.workspace.timed, Timed(durations=durations_of(result), measurement=measurement))
    return Done(message=_message(measurement, result), result=_summary(measurement, _outcome(ports.workspace)))


def _message(measurement: Measurement | None, result: Mapping[str, Any]) -> str:
    if measurement is None:
        failed = [f"{name}: {arm['message']}" for name, arm in result["arms"].items() if arm["reason"]]
        return "; ".join(failed)
    if measurement.reason is None:
        return f"base:head is {measurement.verdict}"
    return f"{measurement.reason}: {'; '.join(measurement.notes)}"


def _outcome(workspace: Workspace) -> AgentOutcome | None:
    return read_model(workspace.outcome, Attempt).outcome if workspace.outcome.exists() else None


def _summary(measurement: Measurement | None, outcome: AgentOutcome | None) -> ResultSummary | None:
    if measurement is None:
        return ResultSummary(agent_outcome=outcome) if outcome else None
    compared = {comparison.arms: comparison for comparison in measurement.comparisons}
    primary, agent = compared.get(("base", "head")), compared.get(("base", "agent"))
    return ResultSummary(
        speedup=primary.speedup if primary else None,
        ci_low=primary.ci_low if primary else None,
        ci_high=primary.ci_high if primary else None,
        verdict=primary.verdict if primary else None,
        noisy=primary.noisy if primary else False,
        control=measurement.control.speedup if measurement.control else None,
        pairs=primary.pairs if primary else None,
        agent_outcome=outcome,
        agent_speedup=agent.speedup if agent else None,
        agent_verdict=agent.verdict if agent else None,
    )
