"""Where arms are built and run: on this machine itself, or in containers of an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from isobench.adapters.agents.supervisor import Supervisor
from isobench.adapters.isolation.container_engine import Engine
from isobench.adapters.isolation.containers import Container, open_container, open_engine
from isobench.adapters.isolation.probe_archive import build_probe
from isobench.adapters.isolation.probe_runner import ProbeRunner
from isobench.adapters.isolation.sandbox import Sandbox, open_sandbox
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.contracts.prepared import Prepared
from isobench.engine.workspace import Workspace
from isobench.local.work_root import WorkRoot


@dataclass
class Places:
    """This machine's places; each is opened once, when something is first done there."""

    root: WorkRoot
    allow_network: bool

    def container(self, image: str | None) -> Container:
        """Containers of the image of that name or identity.

        Raises:
            InvalidInput: no engine works here, no image is named, or it is not here.
        """
        if image not in self._containers:
            opened = open_container(self._engine, image, self.root.path)
            self._containers[image] = self._containers[opened.image.identity] = opened
        return self._containers[image]

    def builder(self, image: str | None) -> EnvironmentBuilder:
        """Builds environments in containers of ``image``, or on this machine."""
        return self.container(image).builder() if image else self._builder

    def probe_runner(self, image: str | None, workspace: Workspace) -> ProbeRunner:
        """Runs the probe where arms were built: on this machine, or in the very image that `prepare` used."""
        return ProbeRunner(self.probe, self._sandbox(image, workspace))

    def supervisor(self, prepared: Prepared, readable: Sequence[Path], writable: Sequence[Path]) -> Supervisor:
        """Keeps processes of others where arms were built."""
        if prepared.image is None:
            return Supervisor(self.probe, open_sandbox(allow_network=self.allow_network))
        sandbox = self.container(prepared.image).sandbox([*readable, self.probe], writable)
        return Supervisor(self.probe, sandbox)

    @cached_property
    def probe(self) -> Path:
        """The probe's archive."""
        return build_probe(self.root.probe)

    def _sandbox(self, image: str | None, workspace: Workspace) -> Sandbox:
        if image is None:
            return open_sandbox(allow_network=self.allow_network)
        readable = [self.root.trees, self.root.environments, workspace.scripts, self.probe]
        return self.container(image).sandbox(readable, writable=[workspace.probes])

    @cached_property
    def _builder(self) -> EnvironmentBuilder:
        return EnvironmentBuilder(self.root.path, find_uv())

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self.root.containers)

    @cached_property
    def _containers(self) -> dict[str | None, Container]:
        return {}
