"""Pods without a network: `isolate` waits until that is proved, then the probe runs in the environment container."""

from collections.abc import Callable, Mapping
from typing import Any

from isobench.adapters.files import read_model, write_model
from isobench.adapters.isolation.pods import place_tools
from isobench.adapters.isolation.probe_runner import ProbeRunner
from isobench.contracts.pod import PROBE, PodRequest
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import StageRequest, StageResult
from isobench.engine.probe_request import highest_cores
from isobench.stages import timing
from isobench.stages import validate as validating
from isobench.stages.attempt import Done, attempt
from isobench.worker.network import Proof, address_of, answers_questions, name_servers, prove_isolation
from isobench.worker.pod import Pod, now, result_of

PROOF = "isolation.json"
CANARY, API_SERVER, DNS = "canary", "API server", "DNS"


def isolate(request: PodRequest) -> StageResult:
    """Leave the proof that nothing can be reached from this pod."""
    pod = Pod(request)

    def work() -> Done:
        place_tools(request.places.exchange, for_builds=False)
        addresses = _addresses(request, read_model(pod.workspace.prepared, Prepared))
        servers = {name: answers_questions for name in addresses if name.startswith(DNS)}
        proof = prove_isolation(addresses, servers, request.isolation_seconds)
        write_model(request.places.exchange / PROOF, proof)
        return Done(proof.sentence)

    return attempt(request.item, now, request.places.scratch, work)


def validate(request: PodRequest) -> StageResult:
    """Run the test on base."""
    return _measured(request, validating.run)


def time(request: PodRequest) -> StageResult:
    """Time every arm."""
    return _measured(request, timing.run)


def _measured(request: PodRequest, run: Callable[[StageRequest, timing.TimingPorts], StageResult]) -> StageResult:
    pod = Pod(request)

    def work() -> StageResult:
        # Read before anything runs beside this container: afterwards the file may say anything.
        proof = read_model(request.places.exchange / PROOF, Proof)
        ports = timing.TimingPorts(
            workspace=pod.workspace,
            clock=now,
            probe=lambda prepared: _probe(pod, proof),
            cores=highest_cores(request.item.spec.timing.cores, pod.container.cores),
            progress=lambda event: pod.tell(f"{event['pairs']} pairs"),
        )
        result = run(request.item, ports)
        if result.reason is Reason.NETWORK_NOT_ISOLATED:
            return result
        return result.model_copy(update={"facts": {**result.facts, "isolation": _sentence(request, proof)}})

    return result_of(pod, work)


def _probe(pod: Pod, proof: Proof) -> ProbeRunner:
    request = pod.request
    facts: Mapping[str, Any] = {"policy": request.policy, "proof": proof.model_dump(mode="json")}
    return ProbeRunner(request.places.exchange / PROBE, pod.container.sandbox(facts, list(proof.tried.values())))


def _sentence(request: PodRequest, proof: Proof) -> str:
    by = f" by the policy {request.policy}" if request.policy else ""
    return f"{proof.sentence}{by}; the canary was reached from prepare"


def _addresses(request: PodRequest, prepared: Prepared) -> Mapping[str, str]:
    """What must be unreachable, by what is there.

    Raises:
        ItemFailure: there would be no proof.
    """
    if prepared.canary is None:
        why = f"the canary {request.canary} was not reached from prepare" if request.canary else "there is no canary"
        message = f"{why}: that timing pods don't reach it would prove nothing; see to the release's canary"
        raise ItemFailure(Reason.NETWORK_NOT_ISOLATED, message)
    addresses = {CANARY: prepared.canary}
    if request.api_server is not None:
        address = address_of(request.api_server)
        if address is None:
            message = f"the API server's name {request.api_server} says nothing in here: give its plain address"
            raise ItemFailure(Reason.NETWORK_NOT_ISOLATED, message)
        addresses[API_SERVER] = address
    servers = enumerate(name_servers(request.places.resolver), start=1)
    return addresses | {DNS if number == 1 else f"{DNS} {number}": address for number, address in servers}
