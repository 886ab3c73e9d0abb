"""The hub as a server in a thread of the test's own process, so that a test can look into it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from hubserver.faults import Asked, Fault, Wire
from hubserver.protocol import OBJECTS_HOST, Protocol
from hubserver.storage import Repository, Storage, StoredFile

HUB_HOST = "127.0.0.1"
WRITE_TOKEN = "hf_token-that-may-write"
READ_TOKEN = "hf_token-that-may-read"


@dataclass
class HubServer:
    """A running hub: its address, what it keeps, what it was asked."""

    endpoint: str
    storage: Storage
    wire: Wire

    def repository(self, repo_id: str) -> Repository:
        return self.storage.repositories[repo_id]

    def holds(self, repo_id: str, files: dict[str, bytes]) -> Repository:
        """Let the hub hold ``files`` as if somebody else had put them there."""
        repository = self.storage.repositories.get(repo_id) or self.storage.create(repo_id)
        stored = {path: StoredFile(content, path.endswith(".parquet")) for path, content in files.items()}
        repository.commit(f"commit {len(repository.commits)}", repository.head.files | stored)
        return repository

    def fail(self, fault: Fault) -> None:
        self.wire.faults.append(fault)

    def meet(self, part_of_path: str, parties: int) -> None:
        """Hold requests to such a path until ``parties`` of them are there."""
        self.wire.barriers[part_of_path] = asyncio.Barrier(parties)

    @property
    def writes(self) -> list[Asked]:
        return [asked for asked in self.wire.log if asked.writes]


@contextmanager
def running_hub() -> Iterator[HubServer]:
    """A hub on a free loopback port, for as long as the block lasts."""
    storage, wire = Storage(writers={WRITE_TOKEN}, readers={READ_TOKEN}), Wire()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(_serve(storage, wire), loop).result()
    try:
        yield HubServer(f"http://{HUB_HOST}:{port}", storage, wire)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(storage: Storage, wire: Wire) -> tuple[web.AppRunner, int]:
    application = web.Application(middlewares=[wire.pass_on], client_max_size=2**30)
    application.add_routes(Protocol(storage).routes())
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, HUB_HOST, 0).start()
    port = runner.addresses[0][1]
    await web.TCPSite(runner, OBJECTS_HOST, port).start()
    return runner, port
