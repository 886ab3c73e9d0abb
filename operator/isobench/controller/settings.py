"""The operator's settings: its flags, checked once, frozen, and the same for everything that it does."""

import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import Field, dataclass, field, fields
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from isobench.contracts.base import InvalidInput
from isobench.controller.caps import Caps, parse_cap

T = TypeVar("T")

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"\S+:[0-9]{1,5}")


def flag(default: T, help_text: str, *, name: str | None = None, variable: str | None = None, least: int = 0) -> T:
    """A setting with its flag (by default its own name), the variable it may also come from, and its least value."""
    return field(default=default, metadata={"help": help_text, "name": name, "variable": variable, "least": least})


@dataclass(frozen=True, kw_only=True)
class ControllerSettings:
    """What one release of the operator serves, with which images, and within which limits."""

    controller_name: str = flag("isobench", "Serve the objects whose spec.controllerName is this.")
    namespaces: tuple[str, ...] = flag((), "Watch this namespace; repeatable, all by default.", name="--namespace")
    release: str = flag("isobench", "Release this process belongs to; two may not serve the same objects.")
    release_namespace: str = flag("isobench", "Where the release keeps its Lease.", variable="POD_NAMESPACE")
    identity: str = flag(
        f"{socket.gethostname()}-{os.getpid()}", "This process among its replicas.", variable="POD_NAME"
    )
    leader_election: bool = flag(True, "Act only while holding the Lease; needed with several replicas.")
    lease_seconds: int = flag(15, "How long a silent leader is waited for.", least=3)
    workers: int = flag(16, "Objects reconciled at the same time; half of the workers begin nothing.", least=2)
    kubeconfig: Path | None = flag(None, "Reaches the API server; the pod's own by default.")  # noqa: RUF009 - a field

    worker_image: str = flag("isobench-worker:dev", "Image of stages that need isobench.")
    environment_image: str = flag("isobench-environment:dev", "Environment of items that name none.")
    agent_image: str = flag("isobench-agent:dev", "Agent of items that name none.")
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = flag("IfNotPresent", "Of all items' pods.")
    image_pull_secrets: tuple[str, ...] = flag((), "Secret to pull with; repeatable.", name="--image-pull-secret")
    uid: int = flag(10001, "User and group of everything in the items' pods.", least=1)
    pull_seconds: int = flag(600, "Allowance for pulling a pod's images.", least=1)
    pending_seconds: int = flag(3600, "Allowance for a Job's pod to be scheduled.", least=1)
    priority_class: str | None = flag(None, "Priority class of the items' pods.")
    timing_priority_class: str | None = flag(None, "Priority class of timing pods; the other's by default.")

    canary_address: str | None = flag(None, "host:port that isolated pods must not reach.")
    api_server_address: str | None = flag(None, "host:port of the API server as pods reach it.")
    manage_network_policy: bool = flag(True, "Ensure the deny-all policy where there are items.")

    isolation_seconds: int = flag(120, "How long a network policy may take to be enforced on a new pod.", least=1)
    configurations: Path | None = flag(None, "Folder of main_<provider>.toml, for paid stages.")  # noqa: RUF009 - a field

    namespace_items: int | None = flag(None, "Cap on the unfinished items of one namespace.", least=1)
    namespace_dollars: float | None = flag(None, "Cap on what all items of one namespace may cost.")
    namespace_caps: tuple[str, ...] = flag(
        (), "Other caps for one namespace, NAME:items=10,dollars=50; repeatable.", name="--namespace-cap"
    )
    total_items: int = flag(1000, "Cap on the unfinished items of all namespaces; more of them wait.", least=1)

    metrics_port: int = flag(8080, "Serves /metrics, /healthz and /readyz; 0 takes a free port.")
    log_format: Literal["json", "text"] = flag("json", "One JSON object a line, or text for people.")
    log_level: Literal["debug", "info", "warning", "error"] = flag("info", "The least level that is logged.")

    def __post_init__(self) -> None:
        """Refuse what no release can run with.

        Raises:
            InvalidInput: one sentence per problem, naming the flag.
        """
        problems = [*_problems(self), *self._cap_problems()]
        if problems:
            raise InvalidInput("isobench-operator", problems)

    def caps_of(self, namespace: str) -> Caps:
        """The caps on ``namespace``: its own, else those of every namespace."""
        return self._own_caps.get(namespace) or Caps(
            self.namespace_items, None if self.namespace_dollars is None else Decimal(str(self.namespace_dollars))
        )

    @cached_property
    def _own_caps(self) -> dict[str, Caps]:
        return dict(map(parse_cap, self.namespace_caps))

    def _cap_problems(self) -> Iterator[str]:
        for text in self.namespace_caps:
            try:
                parse_cap(text)
            except InvalidInput as error:
                yield str(error)

    def watches(self, namespace: str) -> bool:
        """Whether objects in ``namespace`` are this release's business."""
        return not self.namespaces or namespace in self.namespaces


def settings_from(arguments: Sequence[str]) -> ControllerSettings:
    """The settings that the flags ``arguments`` give.

    Raises:
        InvalidInput: a value can't be taken.
        click.ClickException: click's sentence on an unknown flag or a value of the wrong type.
        click.exceptions.Exit: help was asked for and has been printed.
    """
    command = click.Command("isobench-operator", params=[_option(setting) for setting in _settings()], help=__doc__)
    with command.make_context("isobench-operator", list(arguments)) as context:
        return ControllerSettings(**context.params)


def _settings() -> tuple[Field[Any], ...]:
    return fields(ControllerSettings)


def _flag_of(setting: Field[Any]) -> str:
    return setting.metadata["name"] or f"--{setting.name.replace('_', '-')}"


def _option(setting: Field[Any]) -> click.Option:
    type_ = _TYPES[setting.name]
    name = _flag_of(setting)
    repeatable = get_origin(type_) is tuple
    return click.Option(
        [setting.name, f"{name}/--no-{name[2:]}" if type_ is bool else name],
        type=str if repeatable else click.Choice(get_args(type_)) if get_origin(type_) is Literal else type_,
        multiple=repeatable,
        default=setting.default,
        envvar=setting.metadata["variable"],
        help=setting.metadata["help"],
        show_default=setting.default not in (None, ()),
    )


def _plain(type_: Any) -> Any:
    """The type that a flag's text is read as: the one of ``type_`` that is not None."""
    return get_args(type_)[0] if isinstance(type_, UnionType) else type_


_TYPES = {name: _plain(type_) for name, type_ in get_type_hints(ControllerSettings).items()}


def _problems(settings: ControllerSettings) -> Iterator[str]:
    for setting in _settings():
        value, name = getattr(settings, setting.name), _flag_of(setting)
        if isinstance(value, (int, float)) and value < setting.metadata["least"]:
            yield f"{name} must be at least {setting.metadata['least']} (got {value})"
        if setting.name.endswith("_address") and value is not None and not _ADDRESS.fullmatch(value):
            yield f"{name} must be host:port, such as 10.0.0.1:443 (got {value!r})"
        if setting.name.endswith("_image") and not value:
            yield f"{name} must name an image"
    named = {
        "--controller-name": (settings.controller_name,),
        "--release-namespace": (settings.release_namespace,),
        "--namespace": settings.namespaces,
    }
    for name, values in named.items():
        for value in values:
            if not _DNS_LABEL.fullmatch(value):
                yield f"{name} must be lower-case letters, digits and dashes, at most 63 (got {value!r})"
