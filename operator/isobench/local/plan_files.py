"""A plan on disk: batch manifests, and beside each the archive of the extraction files and tests of its commits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from isobench.adapters.files import write_text
from isobench.adapters.inputs import TEST_SUFFIX, test_in
from isobench.adapters.inputs_archive import Member, write_archive
from isobench.adapters.manifests import manifest_text
from isobench.adapters.store import open_store
from isobench.contracts.base import InvalidInput
from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.reasons import ItemFailure
from isobench.contracts.spec import InputsSpec
from isobench.engine.planning import PlannedItem, Shared, batch_of, parts_of
from isobench.local.planner import Plan


def write_manifests(plan: Plan, shared: Shared, destination: Path) -> list[Path]:
    """Write ``destination``, or `<stem>-1.yaml`, `<stem>-2.yaml`, ... where one batch does not hold all.

    Raises:
        InvalidInput: the folder can't be written, or the archive can't be stored.
    """
    written = []
    try:
        for path, batch in batches(plan, shared, destination):
            write_text(path, manifest_text(batch))
            written.append(path)
    except OSError as error:
        raise InvalidInput(str(destination), [f"can't be written ({error.strerror}); give another by -o"]) from None
    return written


def batches(
    plan: Plan, shared: Shared, destination: Path, *, absolute: bool = False
) -> Iterator[tuple[Path, CommitBenchmarkBatch]]:
    """The manifests with their places; each one's archive is written, and named relative to it unless ``absolute``.

    Raises:
        OSError: the folder can't be written.
        InvalidInput: the archive can't be stored where pods would find it.
    """
    first: str | None = None
    for name, items in parts_of(plan.items, shared.name):
        number = name.removeprefix(shared.name)
        path = destination.with_name(f"{destination.stem}{number}{destination.suffix}")
        archive = path.with_name(f"{path.stem}.inputs.tar.gz")
        yield path, batch_of(name, items, shared, _inputs(plan, items, archive, shared, absolute=absolute), first)
        first = first or name


def _inputs(
    plan: Plan, items: Sequence[PlannedItem], archive: Path, shared: Shared, *, absolute: bool
) -> InputsSpec | None:
    """The archive as the manifest names it: where it is written, or in a store where pods find it."""
    if not any(item.head in plan.extractions or item.head in plan.tested for item in items):
        return None
    digest = write_archive(archive, _members(plan, items))
    if shared.cluster.inputs_to is None:
        return shared.cluster.inputs(archive.absolute().as_uri() if absolute else archive.name, digest)
    store = open_store(shared.cluster.inputs_to, shared.cluster.endpoint, attempts=5)  # a person waits for it
    key = f"{archive.name.removesuffix('.inputs.tar.gz')}-{digest[:12]}.inputs.tar.gz"
    try:
        store.put_file(key, archive)
    except ItemFailure as problem:
        raise InvalidInput("--inputs-to", [problem.message]) from None
    archive.unlink()
    return shared.cluster.inputs(store.uri(key), digest)


def _members(plan: Plan, items: Sequence[PlannedItem]) -> Iterator[Member]:
    for item in sorted(items, key=lambda item: item.head):
        if item.head in plan.extractions:
            yield f"extractions/{item.head}.json", plan.extractions[item.head].read_bytes()
        if item.head in plan.tested and plan.tests is not None:
            yield f"tests/{item.head}{TEST_SUFFIX}", (test_in(plan.tests, item.head) or "").encode()
