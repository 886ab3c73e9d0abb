"""An operator in the test's own process or in processes of its own, with a reconciler that a test chooses."""

import asyncio
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import aiohttp
import yaml

from isobench.controller.api import Api
from isobench.controller.api_errors import AlreadyExists
from isobench.controller.app import App, Parts
from isobench.controller.clock import utc_now
from isobench.controller.connection import Connection
from isobench.controller.kinds import BATCHES, ITEMS, Key, Kind
from isobench.controller.settings import ControllerSettings

ROOT = Path(__file__).parents[2]
NAMESPACES = Kind("", "v1", "namespaces", "Namespace")
DEFINITIONS = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
HEAD = "a" * 40


@asynccontextmanager
async def administrator(kubeconfig: Path) -> AsyncIterator[Api]:
    """The API server as its administrator sees it."""
    async with Api(Connection(kubeconfig), utc_now) as api:
        yield api


async def install_kinds(api: Api) -> None:
    """Our two kinds, served."""
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        try:
            await api.create(DEFINITIONS, "", yaml.safe_load(path.read_text()))
        except AlreadyExists:
            continue
    for kind in (ITEMS, BATCHES):
        await eventually(lambda kind=kind: _served(api, kind))


async def _served(api: Api, kind: Kind) -> bool:
    definition = await api.get(DEFINITIONS, "", f"{kind.plural}.{kind.group}")
    conditions = (definition or {}).get("status", {}).get("conditions") or []
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)


async def new_namespace(api: Api) -> str:
    """A namespace of one's own."""
    name = f"test-{secrets.token_hex(4)}"
    await api.create(NAMESPACES, "", {"metadata": {"name": name}})
    return name


def an_item(name: str, **spec) -> dict:
    """A manifest of an item that the API server takes."""
    return {
        "apiVersion": ITEMS.api_version,
        "kind": ITEMS.name,
        "metadata": {"name": name},
        "spec": {
            "repository": {"url": "https://example.org/owner/project"},
            "commits": {"head": HEAD},
            "test": {"inline": "print('Execution time: 1s')"},
            "output": {"store": "s3://isobench/records", "secretRef": {"name": "isobench-store"}},
            **spec,
        },
    }


async def eventually(condition: Callable, seconds: float = 60.0):
    """What ``condition`` gives as soon as that is true; a test that waits a minute has failed."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


@dataclass
class Recorder:
    """A reconciler that writes down what it was called for, and writes each item's status once."""

    parts: Parts
    called: list[Key] = field(default_factory=list)

    async def reconcile(self, key: Key) -> datetime | None:
        """Say in the status that this process has seen the generation."""
        self.called.append(key)
        item = self.parts.cache.get(key)
        if item is None or key.kind != ITEMS.plural:
            return None
        generation = item["metadata"]["generation"]
        if item.get("status", {}).get("observedGeneration") != generation:
            await self.parts.api.put_status(ITEMS, item, {"observedGeneration": generation})
        return None


@dataclass
class Running:
    """An operator that runs in the test's process."""

    app: App
    parts: Parts
    recorder: Recorder


@asynccontextmanager
async def operator(kubeconfig: Path, namespace: str, **settings) -> AsyncIterator[Running]:
    """An operator for ``namespace`` with a `Recorder`, leading, until the block ends."""
    made: list[Recorder] = []

    def make(parts: Parts):
        made.append(Recorder(parts))
        return {ITEMS.plural: made[0], BATCHES.plural: made[0]}

    chosen = {"namespaces": (namespace,), "release_namespace": namespace, "metrics_port": 0, "lease_seconds": 60}
    app = App(ControllerSettings(**chosen | settings), Connection(kubeconfig), make)
    stop = asyncio.Event()
    run = asyncio.create_task(app.run(stop))
    try:
        yield Running(app, made[0].parts, made[0])
    finally:
        stop.set()
        await run


class OperatorProcess:
    """An operator in a process of its own: ours, or one that writes its name into every status again and again."""

    def __init__(
        self, kubeconfig: Path, namespace: str, identity: str, *, module: str = "isobench.controller", **flags: str
    ) -> None:
        """Start ``module``; ``flags`` are the operator's, with underscores."""
        chosen = {
            "kubeconfig": str(kubeconfig),
            "namespace": namespace,
            "release_namespace": namespace,
            "identity": identity,
            "metrics_port": "0",
            "lease_seconds": "60",
            "log_format": "text",
        } | flags
        arguments = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", value)]
        self._told = tempfile.TemporaryFile("a+")  # noqa: SIM115 - closed by `end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
            stderr=self._told,
        )

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def ready(self) -> None:
        """Wait until it knows everything that there is: from now on it leads, or stands by."""
        async with aiohttp.ClientSession() as session:
            await eventually(lambda: self._is_ready(session))

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        started = re.search(r" started .*port=(\d+)\n", self._log())
        if started is None:
            return False
        async with session.get(f"http://127.0.0.1:{started[1]}/readyz") as answer:
            return answer.status == 200

    async def ended(self) -> tuple[int, str]:
        """Its exit status and what it has logged, once it has ended."""
        status = await asyncio.to_thread(self._process.wait)
        return status, self._log()

    def _log(self) -> str:
        self._told.seek(0)
        return self._told.read()

    def end(self) -> None:
        """Kill it if it still runs."""
        self._process.kill()
        self._process.wait()
        self._told.close()
