"""Pods of plain processes: each command as its container runs it, and a runner as the environment container."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from building.items import NOON
from building.swift_history import TEST, SwiftHistory
from isobench.adapters.isolation.pods import PodContainer, place_tools
from isobench.contracts.pod import RUN, RUNNER, SOCKET, WRITTEN, Argument, Places, PodRequest, PodResult
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, StageStatus
from isobench.engine.termination import parse, parse_pod

RUN_ID = "fast__swift/none/none/20260101T120000Z"
ITEM_ID = "swift-1"
IMAGE = "registry.example/environment:1"
QUICK = {"warmup": 0, "minPairs": 8, "maxPairs": 8}


@dataclass(frozen=True)
class Ended:
    """What is left of a container when its command has ended."""

    code: int
    message: str
    log: str

    def result(self, stage: StageName, attempt: int = 1) -> StageResult:
        """Its termination message, as the operator reads it."""
        read = parse(self.message, stage, attempt)
        assert isinstance(read, StageResult), f"{read}: {self.message!r} {self.log}"
        return read

    @property
    def pod_result(self) -> PodResult:
        """The same of a command that is no stage."""
        read = parse_pod(self.message)
        assert isinstance(read, PodResult), f"{read}: {self.message!r} {self.log}"
        return read


@dataclass
class Pods:
    """One item's volume, and its pods one after the other; the paths are short, since sockets are among them."""

    spec: CommitBenchmarkSpec
    folder: Path
    canary: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    number: int = 0

    def __post_init__(self) -> None:
        self.workspace.mkdir()
        self.resolver.write_text("search nowhere\n")
        self.canary_address = f"127.0.0.1:{self.canary.getsockname()[1]}"

    @property
    def workspace(self) -> Path:
        return self.folder / "w"

    @property
    def item(self) -> Path:
        return self.workspace / "item"

    @property
    def resolver(self) -> Path:
        return self.folder / "resolv.conf"

    def pod(self, stage: StageName, attempt: int = 1, **changes) -> PodRequest:
        """A new pod for this attempt: exchange and scratch folders of its own."""
        self.number += 1
        own = self.folder / str(self.number)
        for name in ("exchange", "scratch"):
            (own / name).mkdir(parents=True)
        places = Places(
            workspace=self.workspace,
            exchange=own / "exchange",
            scratch=own / "scratch",
            cache=self.folder / "cache",
            git_credentials=self.folder / "git",
            test=self.folder / "test.py",
            resolver=self.resolver,
            termination=own / "termination",
        )
        item = StageRequest(
            item_id=ITEM_ID,
            run_id=RUN_ID,
            stage=stage,
            attempt=attempt,
            spec=self.spec,
            deadline_seconds=600,
        )
        asked = {"image": IMAGE, "canary": self.canary_address, "isolation_seconds": 20.0, "policy": "isobench-timing"}
        return PodRequest(item=item, places=places, **asked | changes)

    def run(self, command: str, request: Argument, **variables: str) -> Ended:
        """One container of the pod."""
        arguments = [sys.executable, "-m", "isobench.worker", command, request.argument()]
        done = subprocess.run(
            arguments, env=self.environment(request) | variables, capture_output=True, text=True, check=False
        )
        termination = request.places.termination
        message = termination.read_text() if termination.exists() else ""
        return Ended(done.returncode, message, done.stdout + done.stderr)

    def environment(self, request: Argument) -> dict[str, str]:
        """The variables of a worker's container."""
        scratch = str(request.places.scratch)
        return {"PATH": os.environ["PATH"], "HOME": scratch, "TMPDIR": scratch, "UV_OFFLINE": "1"}

    @contextmanager
    def beside(self, request: PodRequest) -> Iterator[PodContainer]:
        """The environment container of the pod, which can write to what its stage's can, where a test may mount."""
        exchange, workspace = request.places.exchange, request.places.workspace
        written = [workspace / folder for folder in WRITTEN[request.item.stage]]
        assert all(folder.is_dir() for folder in written), "the kubelet would make it, as root's"
        mounted = (*read_only(workspace, written), *read_only(exchange, [exchange / RUN])) if may_mount() else ()
        with running(exchange, workspace, mounted) as container:
            yield container

    def prepare(self, **changes) -> Ended:
        """prepare's pod: fetch, then build beside the environment container."""
        request = self.pod(StageName.PREPARE, **changes)
        fetched = self.run("fetch", request)
        if fetched.code:
            return fetched
        with self.beside(request):
            return self.run("build", request)

    def time(self, command: str = "time", stage: StageName = StageName.TIMING, **changes) -> Ended:
        """A pod without a network: isolate, then the probe beside the environment container."""
        request = self.pod(stage, **changes)
        isolated = self.run("isolate", request)
        if isolated.code:
            return isolated
        with self.beside(request):
            return self.run(command, request)

    def cut_off(self) -> None:
        """What the network policy does: the canary can't be reached any more."""
        self.canary.close()

    def collect(self, status: CommitBenchmarkStatus, **variables: str) -> Ended:
        """collect's pod."""
        return self.run("collect", self.pod(StageName.COLLECT, status=status), **variables)


@contextmanager
def pods_of(spec: CommitBenchmarkSpec) -> Iterator[Pods]:
    """An item's pods, in a folder of their own that goes with them."""
    folder = Path(tempfile.mkdtemp(prefix="ib-"))
    pods = Pods(spec, folder)
    try:
        yield pods
    finally:
        pods.canary.close()
        shutil.rmtree(folder, ignore_errors=True)


@cache
def may_mount() -> bool:
    """Whether this user may have mounts of its own."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def read_only(folder: Path, written: Sequence[Path]) -> Iterator[str]:
    """Commands that leave a folder read-only but for what is ``written`` in it."""
    for path in (folder, *written):
        yield f"mount --bind {path} {path}"
    yield f"mount -o remount,bind,ro {folder}"


@contextmanager
def running(exchange: Path, work_root: Path, mounted: Sequence[str] = ()) -> Iterator[PodContainer]:
    """A runner in a process of its own, with the tools in ``exchange``; before it starts, ``mounted`` is done."""
    if not (exchange / RUNNER).exists():
        place_tools(exchange, for_builds=True)
    command = [sys.executable, "-I", str(exchange / RUNNER), "--serve", str(exchange / SOCKET)]
    if mounted:
        command = ["unshare", "--mount", "sh", "-c", f'set -e; {"; ".join(mounted)}; exec "$@"', "runner", *command]
    path = f"{Path(os.path.realpath(sys.executable)).parent}:/usr/bin:/bin"
    variables = {"PATH": path, "HOME": "/", "UV_OFFLINE": "1"}
    with subprocess.Popen(command, env=variables) as process:
        try:
            yield PodContainer(exchange, work_root, IMAGE)
        finally:
            process.terminate()


def strict(path: Path):
    """A JSON file."""
    return json.loads(path.read_text(), parse_constant=lambda constant: 1 / 0)


def asked(swift: SwiftHistory, store: Path, **changes: Any) -> CommitBenchmarkSpec:
    """An item as its batch would ask for it."""
    plain = {
        "repository": {"url": str(swift.path)},
        "commits": {"head": swift.merged},
        "test": {"inline": TEST},
        "timing": QUICK,
        "output": {"store": store.as_uri(), "dataset": "demo"},
        "api": "swift.total",
    }
    return CommitBenchmarkSpec.parse(plain | changes, "a test")


def status_after(*stages: StageName, failed: dict[StageName, Any] | None = None) -> CommitBenchmarkStatus:
    """An item whose attempts at these stages ended well, unless there is a reason for one of them."""
    attempts = [
        StageStatus(
            name=stage,
            state=StageState.FAILED if (failed or {}).get(stage) else StageState.SUCCEEDED,
            reason=(failed or {}).get(stage),
            started_at=NOON,
            finished_at=NOON,
        )
        for stage in stages
    ]
    return CommitBenchmarkStatus(stages=attempts)


@dataclass(frozen=True)
class Passed:
    """An item's pods, and how each ended."""

    pods: Pods
    store: Path
    prepared: Ended
    timed: Ended
    collected: Ended
