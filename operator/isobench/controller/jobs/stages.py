"""The table of stages as Jobs: which containers each has, what they mount, and which secret which of them sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.pod import RUNNER, SOCKET, PodRequest
from isobench.contracts.spec import SecretRef
from isobench.contracts.stage import StageRequest
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.controller.item import Item
from isobench.controller.jobs import resources, volumes
from isobench.controller.jobs.containers import (
    EXCHANGE_PATH,
    Container,
    Pod,
    secret_variable,
    store_variables,
    worker,
)
from isobench.controller.jobs.job import job
from isobench.controller.jobs.names import ISOLATED, NO_NETWORK, job_name, stage_labels
from isobench.controller.jobs.placement import EXCLUSIVE, is_exclusive, placement
from isobench.controller.jobs.policies import POLICY
from isobench.controller.kinds import Object
from isobench.controller.settings import ControllerSettings
from isobench.engine.facts import Start
from isobench.engine.transitions import PAID

LONGEST_ARGUMENT = 120 * 1024
"""Linux takes 128 KiB in one argument."""


@dataclass(frozen=True)
class Addresses:
    """What isolated pods must not reach, as `host:port` that needs no name server."""

    api_server: str | None = None
    canary: str | None = None


@dataclass(frozen=True)
class Asked:
    """One attempt at one stage of an item, and what its pod is told beyond the spec."""

    item: Item
    start: Start
    status: CommitBenchmarkStatus
    image: str
    addresses: Addresses = Addresses()
    configuration: Configuration | None = None
    """The provider's, for paid stages."""

    @property
    def stage(self) -> StageName:
        """Which stage."""
        return self.start.stage


@dataclass(frozen=True)
class Parts:
    """What a stage's row in the table comes to."""

    containers: Sequence[Container]
    volumes: Sequence[Object] = ()
    service_account: str | None = None


def stage_job(asked: Asked, settings: ControllerSettings) -> Object:
    """The Job of that attempt.

    Raises:
        InvalidInput: the spec asks for what a Job can't be.
    """
    item, stage = asked.item, asked.stage
    parts = _TABLE[stage](asked, settings)
    labels = stage_labels(item, settings.controller_name, stage, asked.start.attempt)
    isolated = NO_NETWORK if stage in ISOLATED else {}
    alone = EXCLUSIVE if is_exclusive(item, stage) else {}
    pod = Pod(
        parts.containers,
        labels | isolated | alone,
        item.plan.deadline(stage),
        volumes.with_volumes(item, *parts.volumes),
        placement(item, stage),
        parts.service_account,
        settings.timing_priority_class if stage in ISOLATED else None,
    )
    name = job_name(item.name, item.uid, stage, asked.start.attempt)
    return job(name, item.object, labels, pod, settings, queue=item.spec.queue_name, paid=stage in PAID)


def _request(asked: Asked, settings: ControllerSettings) -> str:
    item, stage = asked.item, asked.stage
    request = PodRequest(
        item=StageRequest(
            item_id=item.name,
            run_id=item.run_id,
            stage=stage,
            attempt=asked.start.attempt,
            spec=item.spec,
            deadline_seconds=item.plan.deadline(stage),
            feedback=asked.start.feedback,
        ),
        image=asked.image,
        batch=item.batch,
        api_server=asked.addresses.api_server,
        canary=asked.addresses.canary,
        policy=POLICY,
        cache=item.spec.repository.cache_claim_name is not None,
        isolation_seconds=settings.isolation_seconds,
        configuration=asked.configuration,
        status=asked.status if stage is StageName.COLLECT else None,
    ).argument()
    if len(request.encode()) > LONGEST_ARGUMENT:
        problem = f"is too long for a pod's argument ({len(request)} characters): put the test into a ConfigMap"
        raise InvalidInput("spec.test", [f"{problem} and name it by test.configMapKeyRef"])
    return request


def _prepare(asked: Asked, settings: ControllerSettings) -> Parts:
    item, request = asked.item, _request(asked, settings)
    spec, workspace = item.spec, volumes.mounted(item)
    mounts, extra = list(workspace), []
    secret, test = spec.repository.credentials_secret_ref, spec.test.config_map_key_ref
    cache = spec.repository.cache_claim_name
    for volume, mount in (
        *([volumes.git_credentials(secret)] if secret else []),
        *([volumes.supplied_test(test)] if test else []),
        *([volumes.fetched_before(cache)] if cache else []),
    ):
        extra.append(volume)
        mounts.append(mount)
    containers = [
        worker("fetch", "fetch", request, settings, resources.FETCH, mounts=mounts),
        _environment(asked, resources.build(spec)),
        worker("stage", "build", request, settings, resources.SUPERVISOR, mounts=workspace),
    ]
    if spec.inputs is not None:
        credentials = store_variables(spec.inputs.secret_ref)
        inputs = worker("inputs", "inputs", request, settings, resources.FETCH, variables=credentials, mounts=workspace)
        containers.insert(0, inputs)
    return Parts(containers, extra)


def _generate(asked: Asked, settings: ControllerSettings) -> Parts:
    generate = asked.item.spec.test.generate
    key = _model_key(generate.secret_ref if generate else None, asked.configuration)
    request, workspace = _request(asked, settings), volumes.mounted(asked.item)
    stage = worker("stage", "generate", request, settings, resources.SUPERVISOR, variables=key, mounts=workspace)
    return Parts([stage])


def _isolated(command: str) -> Callable[[Asked, ControllerSettings], Parts]:
    def parts(asked: Asked, settings: ControllerSettings) -> Parts:
        item, request = asked.item, _request(asked, settings)
        workspace = volumes.mounted(item)
        volume, mount = volumes.shared_memory(item.spec.timing.scratch_mib)
        containers = [
            worker("isolate", "isolate", request, settings, resources.BESIDE_TIMING, mounts=workspace),
            _environment(asked, resources.timing(item.spec), mount),
            worker("stage", command, request, settings, resources.BESIDE_TIMING, mounts=workspace),
        ]
        return Parts(containers, [volume])

    return parts


def _agent(asked: Asked, settings: ControllerSettings) -> Parts:
    """The gateway is there for an agent that calls a model, and is the only container that sees the model's key."""
    item, request = asked.item, _request(asked, settings)
    spec, workspace = item.spec, volumes.mounted(item)
    image = spec.agent.image or settings.agent_image
    containers = [
        worker("place", "place", request, settings, resources.SUPERVISOR, mounts=workspace),
        _runner(asked, "agent", image, resources.build(spec)),
        worker("stage", "agent", request, settings, resources.SUPERVISOR, mounts=workspace),
    ]
    if spec.agent.kind == "openhands":
        key = _model_key(spec.agent.secret_ref, asked.configuration)
        gateway = worker("gateway", "gateway", request, settings, resources.SUPERVISOR, variables=key, mounts=workspace)
        containers.insert(1, replace(gateway, sidecar=True))
    return Parts(containers)


def _build_agent(asked: Asked, settings: ControllerSettings) -> Parts:
    item, request = asked.item, _request(asked, settings)
    workspace = volumes.mounted(item)
    containers = [
        worker("place", "place", request, settings, resources.SUPERVISOR, mounts=workspace),
        _environment(asked, resources.build(item.spec)),
        worker("stage", "build-agent", request, settings, resources.SUPERVISOR, mounts=workspace),
    ]
    return Parts(containers)


def _collect(asked: Asked, settings: ControllerSettings) -> Parts:
    output = asked.item.spec.output
    request, workspace = _request(asked, settings), volumes.mounted(asked.item)
    credentials = store_variables(output.secret_ref)
    stage = worker("stage", "collect", request, settings, resources.SUPERVISOR, variables=credentials, mounts=workspace)
    return Parts([stage], service_account=output.service_account_name)


_TABLE: Mapping[StageName, Callable[[Asked, ControllerSettings], Parts]] = {
    StageName.PREPARE: _prepare,
    StageName.GENERATE: _generate,
    StageName.VALIDATE: _isolated("validate"),
    StageName.AGENT: _agent,
    StageName.BUILD_AGENT: _build_agent,
    StageName.TIMING: _isolated("time"),
    StageName.COLLECT: _collect,
}


def _environment(asked: Asked, amounts: Object, *mounts: Object) -> Container:
    return _runner(asked, "environment", asked.image, amounts, *mounts)


def _runner(asked: Asked, name: str, image: str, amounts: Object, *others: Object) -> Container:
    """A foreign image, which does what the stage's container sends over a socket."""
    command = ("python3", "-I", f"{EXCHANGE_PATH}/{RUNNER}", "--serve", f"{EXCHANGE_PATH}/{SOCKET}")
    mounts = [*volumes.mounted_in_foreign(asked.item, asked.stage), *others]
    return Container(name, image, amounts, command, mounts=mounts, sidecar=True, foreign=True)


def _model_key(secret: SecretRef | None, configuration: Configuration | None) -> list[Object]:
    """The provider's key under the name that its configuration gives it."""
    name = configuration.llm.api_key_env if configuration else None
    if secret is None or name is None:
        return []
    return [secret_variable(name, secret.name, secret.key or name)]
