"""The agent's pods: the supervisor beside agent and gateway, and the build of the agent's arm from its patch."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from isobench.adapters.agents.registry import agent_in_image
from isobench.adapters.agents.supervisor import Supervisor
from isobench.adapters.files import read_model
from isobench.adapters.isolation.probe_runner import ProbeRunner
from isobench.adapters.models.gateway_process import Gateway, GatewayReport
from isobench.adapters.models.llm import LLMConfigManager
from isobench.contracts.pod import PROBE, PodRequest
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import StageRequest, StageResult
from isobench.engine.probe_request import highest_cores
from isobench.stages import agent as attempting
from isobench.stages import build_agent as building
from isobench.worker.gateway import REPORT, SOCKET
from isobench.worker.generate import extraction_of
from isobench.worker.pod import Pod, now, result_of

GATEWAY_SECONDS = 60.0
"""How long the gateway's container may take to listen, or to say why it never will."""

_POLL_SECONDS = 0.1


def agent(request: PodRequest) -> StageResult:
    """Supervise one attempt; the key is in the gateway's container, the agent in its own."""
    pod = Pod(request)

    def work() -> StageResult:
        ports = attempting.AgentPorts(
            workspace=pod.workspace,
            clock=now,
            rooms=pod.rooms,
            scratch=request.places.scratch,
            agent=agent_in_image,
            repository=lambda prepared, path: _copy(pod.agent_repository, path),
            supervisor=lambda prepared, readable, writable: _supervisor(pod),
            model=lambda asked: _model(pod, asked),
            extraction=lambda head: extraction_of(pod),
            socket=request.places.exchange / SOCKET,
        )
        return attempting.run(request.item, ports)

    return result_of(pod, work)


def build_agent(request: PodRequest) -> StageResult:
    """Build and check the agent's arm in the environment container."""
    pod = Pod(request)

    def supervisor(prepared: Prepared, readable: Sequence[Path], writable: Sequence[Path]) -> Supervisor:
        return _supervisor(pod)

    def work() -> StageResult:
        ports = building.BuildAgentPorts(
            workspace=pod.workspace,
            clock=now,
            trees=pod.root / "trees",
            rooms=pod.rooms,
            builder=pod.container.builder(),
            probe=lambda prepared: ProbeRunner(request.places.exchange / PROBE, pod.container.connected_sandbox()),
            supervisor=supervisor,
            cores=highest_cores(request.item.spec.timing.cores, pod.container.cores),
            progress=lambda event: None,
        )
        return building.run(request.item, ports)

    return result_of(pod, work)


def _copy(repository: Path, path: Path) -> Path:
    """The repository that `fetch` made, for one attempt."""
    shutil.copytree(repository, path, symlinks=True)
    return path


def _supervisor(pod: Pod) -> Supervisor:
    return Supervisor(pod.request.places.exchange / PROBE, pod.container.connected_sandbox())


def _model(pod: Pod, asked: StageRequest) -> attempting.AskedModel:
    configuration = pod.request.configuration
    if configuration is None:
        message = f"the operator has no prices for the model {asked.spec.agent.model!r}: add it to the release's values"
        raise ItemFailure(Reason.MODEL_UNPRICED, message)
    llm = LLMConfigManager(configuration, os.environ)
    name = llm.model(asked.spec.agent.model)

    def gateway(socket: Path) -> AbstractContextManager[Gateway]:
        return _beside(socket)

    return attempting.AskedModel(name, llm.prices(name), gateway)


@contextmanager
def _beside(socket: Path) -> Iterator[Gateway]:
    """The gateway of the container beside this one, once it listens.

    Raises:
        ItemFailure: it can't serve, for the reason that it gave, or said nothing in time.
    """
    report = socket.with_name(REPORT)
    deadline = time.monotonic() + GATEWAY_SECONDS
    while not report.exists():
        if time.monotonic() > deadline:
            message = f"the gateway's container did not listen within {GATEWAY_SECONDS:g} s: read its log"
            raise ItemFailure(Reason.MODEL_UNAVAILABLE, message)
        time.sleep(_POLL_SECONDS)
    said = read_model(report, GatewayReport)
    if said.token is None:
        raise ItemFailure(said.reason or Reason.MODEL_UNAVAILABLE, said.message)
    yield Gateway("http://gateway/v1", said.token, 0, socket)
