"""validate: the test runs on base in the sandbox, and twice gives the same result."""

from isobench.adapters.files import read_model
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import MESSAGE_BYTES, StageRequest, StageResult
from isobench.engine.probe_request import probe_request
from isobench.engine.test_prompt import cut
from isobench.stages.adapted_scripts import write_scripts
from isobench.stages.attempt import Done, attempt
from isobench.stages.timing import WRAP_UP_SECONDS, TimingPorts

RUNS = 2


def run(request: StageRequest, ports: TimingPorts) -> StageResult:
    """Succeed when base's runs succeed; the message of a failure is what the test's writer is told."""
    return attempt(request, ports.clock, ports.workspace.root, lambda: _validate(request, ports))


def _validate(request: StageRequest, ports: TimingPorts) -> Done:
    timing = request.spec.timing.model_copy(update={"protocol": "single"})
    prepared = read_model(ports.workspace.prepared, Prepared)
    base = prepared.model_copy(update={"arms": [arm for arm in prepared.arms if arm.name == "base"]})
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
    return Done()
