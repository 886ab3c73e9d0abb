"""prepare's pod: inputs, then fetch, then build beside the environment container.

Only `fetch` runs git and sees its credentials, and only on a folder that nothing else has written to: the shared cache
claim, which it alone mounts, or this pod's scratch. Whatever an earlier attempt's builds have left in the workspace may
be anything, so a repeated attempt starts with an empty one.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from isobench.adapters.files import read_model, remove, write_model
from isobench.adapters.git.agent_repository import create_agent_repository
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.inputs import Supplies, unpack_archive
from isobench.adapters.isolation.pods import place_tools
from isobench.adapters.store import open_store, split_uri
from isobench.contracts.base import InvalidInput
from isobench.contracts.pod import PodRequest
from isobench.contracts.prepared import Fetched
from isobench.contracts.spec import RepositorySpec
from isobench.contracts.stage import StageResult
from isobench.stages import build as building
from isobench.stages import fetch as fetching
from isobench.stages.attempt import Done, attempt
from isobench.worker.git_credentials import with_credentials
from isobench.worker.network import wait_for
from isobench.worker.pod import Pod, now, result_of

CANARY_SECONDS = 60.0
"""A release's first items may be fetched while its canary still starts."""
VOLUMES_OWN = "lost+found"


def inputs(request: PodRequest) -> StageResult:
    """Unpack the batch's archive of extraction files and tests; the only container with its credentials."""
    pod = Pod(request)

    def work() -> Done:
        _begin_anew(pod)
        asked = request.item.spec.inputs
        assert asked is not None  # else the pod has no such container
        store, key = split_uri(asked.uri)
        with TemporaryDirectory(dir=request.places.scratch) as folder:
            archive = Path(folder, "inputs.tar.gz")
            if not open_store(store, asked.endpoint).fetch(key, archive):
                raise InvalidInput("spec.inputs.uri", [f"{asked.uri} is not there; plan again with --inputs-to"])
            unpack_archive(archive, asked.sha256, pod.inputs)
        return Done()

    return attempt(request.item, now, request.places.scratch, work)


def place(request: PodRequest) -> StageResult:
    """Put runner, probe and uv where the environment container finds them, and make what it may write to."""
    pod = Pod(request)

    def work() -> Done:
        pod.make_written()
        place_tools(request.places.exchange, for_builds=True)
        return Done()

    return attempt(request.item, now, request.places.scratch, work)


def fetch(request: PodRequest) -> StageResult:
    """Leave `fetched.json`, the trees and, where an agent follows, its repository."""
    pod = Pod(request)
    return attempt(request.item, now, pod.workspace.root, lambda: _fetch(pod))


def _fetch(pod: Pod) -> Done:
    request, spec = pod.request, pod.request.item.spec
    if spec.inputs is None:  # else `inputs` has done it
        _begin_anew(pod)
    pod.workspace.probes.mkdir(parents=True, exist_ok=True)  # for the pods that time
    pod.make_written()
    place_tools(request.places.exchange, for_builds=True)
    supplies = Supplies(pod.inputs / spec.inputs.sha256 if spec.inputs else None)
    managers: list[RepoManager] = []

    def repository(asked: RepositorySpec) -> RepoManager:
        url = with_credentials(asked.url, request.places.git_credentials, os.environ)
        managers.append(RepoManager(request.places.cache if request.cache else request.places.scratch, url))
        return managers[-1]

    ports = fetching.FetchPorts(
        workspace=pod.workspace,
        repository=repository,
        main_commit=lambda manager, asked: manager.main_commit(asked.main_ref),
        trees=pod.root / "trees",
        supplied_test=lambda head: _supplied_test(request, supplies, head),
        recorded=lambda repo, head: False,
        has_gpu=_asks_for_gpu(request),
        tell=pod.tell,
    )
    fetched = fetching.fetch(spec, ports).model_copy(update={"canary": _reached_canary(request)})
    extraction = supplies.extraction(fetched.commits.head_commit)
    if extraction is not None:
        write_model(pod.workspace.extraction, extraction)
    if spec.attempted:
        create_agent_repository(managers[0], fetched.commits.base_commit, pod.agent_repository)
    write_model(pod.workspace.fetched, fetched)
    return Done()


def build(request: PodRequest) -> StageResult:
    """Build every arm in the environment container."""
    pod = Pod(request)

    def run() -> StageResult:
        # Read before the first command runs in there: afterwards the file may say anything.
        fetched = read_model(pod.workspace.fetched, Fetched)
        ports = building.BuildPorts(
            workspace=pod.workspace, builder=pod.container.builder(), image=pod.container.image, tell=pod.tell
        )

        def work() -> Done:
            done = building.build(request.item.spec, fetched, ports)
            return Done(facts={**done.facts, "canary": _canary_fact(request, fetched)})

        return attempt(request.item, now, pod.workspace.root, work)

    return result_of(pod, run)


def _supplied_test(request: PodRequest, supplies: Supplies, head: str) -> str | None:
    if request.item.spec.test.config_map_key_ref is not None:
        return request.places.test.read_text(encoding="utf-8-sig")
    return supplies.test(head)


def _asks_for_gpu(request: PodRequest) -> bool:
    """A GPU is a resource of the timing container: this one need not have it."""
    asked = request.item.spec.timing.resources
    return asked is not None and any("gpu" in name for name in {**(asked.limits or {}), **(asked.requests or {})})


def _reached_canary(request: PodRequest) -> str | None:
    """The canary's plain address, where it answers: what timing pods do not reach was to be had from here."""
    return wait_for(request.canary, CANARY_SECONDS) if request.canary else None


def _canary_fact(request: PodRequest, fetched: Fetched) -> str:
    if request.canary is None:
        return "none"
    return "reached" if fetched.canary else "unreachable"


def _begin_anew(pod: Pod) -> None:
    """Remove everything but the account of what was paid for, which holds for all attempts together."""
    ledger = pod.workspace.ledger()
    for folder, kept in ((pod.root, pod.workspace.root), (pod.workspace.root, ledger)):
        if folder.is_symlink() or not folder.is_dir():
            return
        for entry in folder.iterdir():
            if entry != kept and entry.name != VOLUMES_OWN:
                remove(entry)
