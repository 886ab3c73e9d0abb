"""validate: the test runs on base, twice with the same result; before an agent is paid, head is measurably faster."""

from isobench.adapters.files import read_model
from isobench.adapters.isolation import machine_lock
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.record import Arm
from isobench.contracts.stage import MESSAGE_BYTES, StageRequest, StageResult
from isobench.engine.probe_request import probe_request
from isobench.engine.test_prompt import cut
from isobench.engine.timings import measurement_of
from isobench.stages.adapted_scripts import write_scripts
from isobench.stages.attempt import Done, attempt
from isobench.stages.timing import WRAP_UP_SECONDS, TimingPorts

RUNS = 2


def run(request: StageRequest, ports: TimingPorts) -> StageResult:
    """Succeed when base's runs succeed; the message of a failure is what the test's writer is told."""
    return attempt(request, ports.clock, ports.workspace.root, lambda: _validate(request, ports))


def _validate(request: StageRequest, ports: TimingPorts) -> Done:
    prepared = read_model(ports.workspace.prepared, Prepared)
    _require_stable(request, prepared, ports)
    if request.spec.attempted and request.spec.agent.require_human_speedup:
        return _require_human_speedup(request, prepared, ports)
    return Done()


def _require_stable(request: StageRequest, prepared: Prepared, ports: TimingPorts) -> None:
    timing = request.spec.timing.model_copy(update={"protocol": "single"})
    base = _only(prepared, "base")
    write_scripts(ports.workspace, base)
    asked = probe_request(timing, base, ports.workspace, ports.cores, request.item_id)
    limit = timing.run_timeout_seconds + WRAP_UP_SECONDS
    hashes = set()
    for _ in range(RUNS):
        result = ports.probe(prepared).run(asked, ports.workspace.probe("validate"), limit, ports.progress)
        arm = result["arms"]["base"]
        if arm["reason"]:
            # the end of a traceback says most, and the end is what a bound on messages would cut off
            message = cut(f"{arm['message']}\n{arm['output_tail']}".strip(), MESSAGE_BYTES)
            raise ItemFailure(Reason(arm["reason"]), message)
        hashes.add(arm["result_sha256"])
    if len(hashes) > 1:
        message = f"two runs on base gave different results ({', '.join(sorted(map(str, hashes)))}): seed the workload"
        raise ItemFailure(Reason.RESULT_UNSTABLE, message)


def _require_human_speedup(request: StageRequest, prepared: Prepared, ports: TimingPorts) -> Done:
    """Time head beside base and its control as `timing` would: no dollar is spent on a task that has no solution."""
    timing = request.spec.timing.model_copy(update={"protocol": "blocks"})
    pair = _only(prepared, "base", "head", "control")
    write_scripts(ports.workspace, pair)
    asked = probe_request(timing, pair, ports.workspace, ports.cores, f"{request.run_id}/{request.item_id}/gate")
    limit = timing.timeout_seconds + timing.run_timeout_seconds + WRAP_UP_SECONDS
    with machine_lock.timing():
        result = ports.probe(prepared).run(asked, ports.workspace.probe("gate"), limit, ports.progress)
    measured = measurement_of(result, timing, pair, {})
    if measured.verdict == "faster":
        return Done(f"head is {measured.comparisons[0].speedup:.3g}x as fast as base")
    found = f"is {measured.verdict}" if measured.reason is None else f"is no measurement ({measured.reason})"
    message = f"base:head {found}: {'; '.join(measured.notes) or 'no agent is paid for what can not be shown to help'}"
    raise ItemFailure(Reason.HUMAN_NOT_FASTER, cut(message, MESSAGE_BYTES))


def _only(prepared: Prepared, *arms: Arm) -> Prepared:
    return prepared.model_copy(update={"arms": [arm for arm in prepared.arms if arm.name in arms], "notes": []})
