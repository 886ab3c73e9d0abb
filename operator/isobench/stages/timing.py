"""timing: every arm interleaved without network, then the verdict that the samples allow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isobench.adapters.files import read_model, write_model
from isobench.adapters.isolation import machine_lock
from isobench.adapters.isolation.probe_runner import ProbeRunner, Progress
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
    adapted = write_scripts(ports.workspace, prepared)
    asked = probe_request(timing, prepared, ports.workspace, ports.cores, f"{request.run_id}/{request.item_id}")
    limit = timing.timeout_seconds + timing.run_timeout_seconds + WRAP_UP_SECONDS
    with machine_lock.timing():
        result = ports.probe(prepared).run(asked, ports.workspace.probe("timing"), limit, ports.progress)
    measurement = None
    if timing.protocol == "blocks":
        measurement = measurement_of(result, timing, prepared, adapted)
    write_model(ports.workspace.timed, Timed(durations=durations_of(result), measurement=measurement))
    return Done(message=_message(measurement, result), result=_summary(measurement))


def _message(measurement: Measurement | None, result: Mapping[str, Any]) -> str:
    if measurement is None:
        failed = [f"{name}: {arm['message']}" for name, arm in result["arms"].items() if arm["reason"]]
        return "; ".join(failed)
    if measurement.reason is None:
        return f"base:head is {measurement.verdict}"
    return f"{measurement.reason}: {'; '.join(measurement.notes)}"


def _summary(measurement: Measurement | None) -> ResultSummary | None:
    if measurement is None:
        return None
    primary = next((comparison for comparison in measurement.comparisons if comparison.arms == ("base", "head")), None)
    control = measurement.control.speedup if measurement.control else None
    if primary is None:
        return ResultSummary(control=control)
    return ResultSummary(
        speedup=primary.speedup,
        ci_low=primary.ci_low,
        ci_high=primary.ci_high,
        verdict=primary.verdict,
        noisy=primary.noisy,
        control=control,
        pairs=primary.pairs,
    )
