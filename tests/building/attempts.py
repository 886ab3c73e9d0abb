"""The agent's stage by itself: a prepared project, and agents that are shell scripts."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from building.items import NOON, spec
from building.swift_history import TEST, SwiftHistory
from isobench.adapters.agents.registry import agent_of
from isobench.adapters.agents.supervisor import Supervisor
from isobench.adapters.files import read_model, write_model
from isobench.adapters.git.agent_repository import create_agent_repository
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.isolation.probe_archive import build_probe
from isobench.adapters.isolation.probe_runner import ProbeRunner
from isobench.adapters.isolation.sandbox import open_sandbox
from isobench.adapters.python.built_environment import BuildRequest
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.contracts.attempt import Attempt
from isobench.contracts.prepared import CommitSummary, Prepared, PreparedArm
from isobench.contracts.spec import EnvironmentSpec
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import StageName
from isobench.engine.workspace import Workspace
from isobench.stages import agent, build_agent

TARGET = "swift/__init__.py"
FASTER = f"sed -i 's/PASSES = 4/PASSES = 1/' {TARGET}"
SEEDED = TEST.replace("import hashlib,", "import os, hashlib,").replace(
    "swift.total(50_000)", "swift.total(50_000 + int(os.environ.get('ISOBENCH_SEED', '0')) % 1000)"
)


@dataclass(frozen=True)
class Pair:
    """A human change, and where it is: what an agent attempts without seeing it."""

    repository: Path
    base: str
    head: str
    repo: str
    instance_id: str
    distribution: str
    test: str

    @classmethod
    def of_swift(cls, swift: SwiftHistory) -> "Pair":
        """The change that halves the passes."""
        return cls(swift.path, swift.root, swift.merged, "fast/swift", "fast__swift-PR-12", "swift", SEEDED)


@dataclass
class AttemptBench:
    """One item whose base is built; every attempt is made in ``folder``, which a path of any length may be."""

    folder: Path
    pair: Pair
    changes: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, str] = field(default_factory=lambda: {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1"})
    """Variables of whoever builds: nothing is fetched, unless others are given."""

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "item")

    @property
    def rooms(self) -> Path:
        return self.folder / "work" / "agents"

    @cached_property
    def manager(self) -> RepoManager:
        return RepoManager(self.folder / "work", str(self.pair.repository))

    def prepare(self) -> Prepared:
        """What `prepare` leaves, with this Python as base's environment."""
        pair, base = self.pair, self.pair.base
        facts = self.manager.commit(pair.head)
        tree = self.folder / "work" / "trees" / f"{self.manager.tree_hash(base)[:16]}-0"
        self.manager.export_tree(base, tree)
        environment = self.folder / "work" / "environments" / "base"
        environment.mkdir(parents=True, exist_ok=True)
        arm = PreparedArm(name="base", commit=base, tree=str(tree), environment=str(environment), python=sys.executable)
        commits = CommitSummary(
            repo=pair.repo,
            instance_id=pair.instance_id,
            created_at=NOON.isoformat(),
            base_commit=base,
            head_commit=pair.head,
            patch=self.manager.diff(base, pair.head).text,
            message=facts.message,
            subject=facts.subject,
        )
        prepared = Prepared(commits=commits, arms=[arm])
        write_model(self.workspace.prepared, prepared)
        self.workspace.test.write_text(pair.test)
        return prepared

    def build(self) -> Prepared:
        """The same with base's environment really built, as an arm that is compared with needs it."""
        prepared = self.prepare()
        (arm,) = prepared.arms
        tree = Path(arm.tree)
        distribution = self.pair.distribution
        asked = BuildRequest(
            tree=tree, tree_hash=tree.name, distribution=distribution, spec=EnvironmentSpec(), version="1.0"
        )
        built = self.builder.build(asked)
        ready = arm.model_copy(
            update={
                "environment": str(built.path),
                "python": str(built.python),
                "python_version": built.python_version,
                "install_sha": built.install_sha,
            }
        )
        whole = prepared.model_copy(update={"arms": [ready], "base_version": "1.0"})
        write_model(self.workspace.prepared, whole)
        return whole

    @cached_property
    def builder(self) -> EnvironmentBuilder:
        person = {"PATH": os.environ["PATH"], **self.person}
        return EnvironmentBuilder(self.folder / "work", find_uv(), person)

    def built_attempt(self, patch_script: str) -> StageResult:
        """Run an agent that is this script, build its arm and check it; the result of `build-agent`."""
        ended = self.attempt(patch_script, build=True)
        assert ended.succeeded, ended.message
        asked = {"command": ["sh", "-c", patch_script]}
        request = self.request(asked).model_copy(update={"stage": StageName.BUILD_AGENT})
        return build_agent.run(request, self.build_ports())

    def build_ports(self) -> build_agent.BuildAgentPorts:
        return build_agent.BuildAgentPorts(
            workspace=self.workspace,
            clock=lambda: NOON,
            trees=self.folder / "work" / "trees",
            rooms=self.rooms,
            builder=self.builder,
            probe=lambda prepared: ProbeRunner(self.archive, open_sandbox(allow_network=False)),
            supervisor=self._supervisor,
            cores=[max(os.sched_getaffinity(0))],
            progress=lambda event: None,
        )

    @cached_property
    def archive(self) -> Path:
        return build_probe(self.folder / "work" / "probe.pyz")

    def request(self, asked: Mapping[str, Any], attempt: int = 1) -> StageRequest:
        defaults = {"enabled": True, "kind": "command", "timeoutMinutes": 5}
        item = spec(mode="online", agent={**defaults, **asked}, **self.changes)
        return StageRequest(
            item_id="swift-1", run_id="run", stage=StageName.AGENT, attempt=attempt, spec=item, deadline_seconds=60
        )

    def ports(self, **changes: Any) -> agent.AgentPorts:
        fields: dict[str, Any] = {
            "workspace": self.workspace,
            "clock": lambda: NOON,
            "rooms": self.rooms,
            "scratch": self.folder / "work" / "tmp",
            "agent": agent_of,
            "repository": lambda prepared, path: create_agent_repository(
                self.manager, prepared.commits.base_commit, path
            ),
            "supervisor": self._supervisor,
            "model": None,
            "extraction": lambda head: None,
        }
        return agent.AgentPorts(**(fields | changes))

    def attempt(self, script: str, *, build: bool = False, **asked: Any) -> StageResult:
        """Run an agent that is this script, from preparation, or from base's environment on, to its outcome."""
        _ = self.build() if build else self.prepare()
        return agent.run(self.request({"command": ["sh", "-c", script], **asked}), self.ports())

    @property
    def outcome(self) -> Attempt:
        return read_model(self.workspace.outcome, Attempt)

    def printed(self, stream: str = "stdout") -> str:
        return self.workspace.agent_output(stream).read_text()

    def _supervisor(self, prepared: Prepared, readable: Sequence[Path], writable: Sequence[Path]) -> Supervisor:
        return Supervisor(self.archive, open_sandbox(allow_network=False))
