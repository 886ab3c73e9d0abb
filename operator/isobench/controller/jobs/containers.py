"""Containers and pods as a namespace with restricted Pod Security takes them: no rights, no writes but to volumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from isobench.contracts.pod import RUN
from isobench.contracts.spec import SecretRef
from isobench.controller.kinds import Object
from isobench.controller.settings import ControllerSettings

EXCHANGE, SCRATCH, FOREIGN_SCRATCH, WORKSPACE = "exchange", "scratch", "foreign-scratch", "workspace"
EXCHANGE_PATH, SCRATCH_PATH, WORKSPACE_PATH = "/isobench", "/scratch", "/workspace"

_CONTAINER_SECURITY: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_OWN_MOUNTS = (
    {"name": EXCHANGE, "mountPath": EXCHANGE_PATH},
    {"name": SCRATCH, "mountPath": SCRATCH_PATH},
)
_FOREIGN_MOUNTS = (
    {"name": EXCHANGE, "mountPath": EXCHANGE_PATH, "readOnly": True},
    {"name": EXCHANGE, "mountPath": f"{EXCHANGE_PATH}/{RUN}", "subPath": RUN},
    {"name": FOREIGN_SCRATCH, "mountPath": SCRATCH_PATH},
)
_OWN_VOLUMES = (
    {"name": EXCHANGE, "emptyDir": {"sizeLimit": "256Mi"}},
    {"name": SCRATCH, "emptyDir": {}},
)
_FOREIGN_VOLUMES = ({"name": FOREIGN_SCRATCH, "emptyDir": {}},)


@dataclass(frozen=True)
class Container:
    """What differs between the containers of our pods; a ``sidecar`` is an init container that goes on running.

    Of the exchange folder, a ``foreign`` one can write to the folder of its runner's socket only; its scratch is its
    own: what ours keep in theirs, git repositories too, is out of its reach.
    """

    name: str
    image: str
    resources: Object
    command: Sequence[str] = ()
    arguments: Sequence[str] = ()
    variables: Sequence[Object] = ()
    mounts: Sequence[Object] = ()
    sidecar: bool = False
    foreign: bool = False

    def manifest(self, settings: ControllerSettings) -> Object:
        """The container as a pod holds it."""
        made: Object = {
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": settings.image_pull_policy,
            "resources": self.resources,
            "env": [variable("HOME", SCRATCH_PATH), variable("TMPDIR", SCRATCH_PATH), *self.variables],
            "securityContext": _CONTAINER_SECURITY,
            "terminationMessagePolicy": "File",
            "volumeMounts": [*(_FOREIGN_MOUNTS if self.foreign else _OWN_MOUNTS), *self.mounts],
        }
        if self.command:
            made["command"] = [*self.command]
        if self.arguments:
            made["args"] = [*self.arguments]
        if self.sidecar:
            made["restartPolicy"] = "Always"
        return made


@dataclass(frozen=True)
class Pod:
    """What differs between our pods: containers in the order of their start, the last one is the pod's work."""

    containers: Sequence[Container]
    labels: Mapping[str, str]
    seconds: float
    """What its work may take; pulling images and ending come on top."""
    volumes: Sequence[Object] = ()
    placement: Object = field(default_factory=dict)
    service_account: str | None = None
    priority_class: str | None = None

    def active_seconds(self, settings: ControllerSettings) -> int:
        """When the kubelet ends it; it stays readable then, which its Job's deadline would not leave it."""
        return int(self.seconds) + settings.pull_seconds + ENDING_SECONDS

    def manifest(self, settings: ControllerSettings) -> Object:
        """The pod as a Job's template."""
        foreign = _FOREIGN_VOLUMES if any(container.foreign for container in self.containers) else ()
        spec: Object = {
            "activeDeadlineSeconds": self.active_seconds(settings),
            "automountServiceAccountToken": False,
            "containers": [self.containers[-1].manifest(settings)],
            "enableServiceLinks": False,
            "initContainers": [container.manifest(settings) for container in self.containers[:-1]],
            "restartPolicy": "Never",
            "securityContext": _pod_security(settings.uid),
            "terminationGracePeriodSeconds": 10,
            "volumes": [*_OWN_VOLUMES, *foreign, *self.volumes],
        }
        optional = {
            "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
            "priorityClassName": self.priority_class or settings.priority_class,
            "serviceAccountName": self.service_account,
        }
        chosen = {name: value for name, value in optional.items() if value}
        return {"metadata": {"labels": dict(self.labels)}, "spec": spec | chosen | self.placement}


ENDING_SECONDS = 120
"""From a stage's own time-out to the kubelet's: what the supervisor needs to write its result."""


def worker(
    name: str,
    command: str,
    request: str,
    settings: ControllerSettings,
    resources: Object,
    *,
    variables: Sequence[Object] = (),
    mounts: Sequence[Object] = (),
) -> Container:
    """A container of the worker image that does one command."""
    image = settings.worker_image
    return Container(name, image, resources, ("isobench-worker",), (command, request), variables, mounts)


def variable(name: str, value: str) -> Object:
    """An environment variable."""
    return {"name": name, "value": value}


def secret_variable(name: str, secret: str, key: str, *, optional: bool = False) -> Object:
    """An environment variable that one key of a Secret holds."""
    source: Object = {"name": secret, "key": key} | ({"optional": True} if optional else {})
    return {"name": name, "valueFrom": {"secretKeyRef": source}}


def store_variables(secret: SecretRef | None) -> list[Object]:
    """The store's credentials, by the names that every S3 client knows; none where a service account has access."""
    if secret is None:
        return []
    return [
        secret_variable("AWS_ACCESS_KEY_ID", secret.name, "AWS_ACCESS_KEY_ID"),
        secret_variable("AWS_SECRET_ACCESS_KEY", secret.name, "AWS_SECRET_ACCESS_KEY"),
        secret_variable("AWS_SESSION_TOKEN", secret.name, "AWS_SESSION_TOKEN", optional=True),
    ]


def _pod_security(uid: int) -> Object:
    return {
        "fsGroup": uid,
        "fsGroupChangePolicy": "OnRootMismatch",
        "runAsGroup": uid,
        "runAsNonRoot": True,
        "runAsUser": uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
