"""A plan on disk: batch manifests, and beside each the archive of the extraction files and tests of its commits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from isobench.adapters.files import write_text
from isobench.adapters.inputs import TEST_SUFFIX, test_in
from isobench.adapters.inputs_archive import Member, write_archive
from isobench.adapters.manifests import manifest_text
from isobench.contracts.base import InvalidInput
from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.spec import InputsSpec
from isobench.engine.planning import PlannedItem, Shared, batch_of, parts_of
from isobench.local.planner import Plan


def write_manifests(plan: Plan, shared: Shared, destination: Path) -> list[Path]:
    """Write ``destination``, or `<stem>-1.yaml`, `<stem>-2.yaml`, ... where one batch does not hold all.

    Raises:
        InvalidInput: the folder can't be written.
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
    """
    first: str | None = None
    for name, items in parts_of(plan.items, shared.name):
        number = name.removeprefix(shared.name)
        path = destination.with_name(f"{destination.stem}{number}{destination.suffix}")
        yield path, batch_of(name, items, shared, _inputs(plan, items, path, absolute=absolute), first)
        first = first or name


def _inputs(plan: Plan, items: Sequence[PlannedItem], manifest: Path, *, absolute: bool) -> InputsSpec | None:
    if not any(item.head in plan.extractions or item.head in plan.tested for item in items):
        return None
    archive = manifest.with_name(f"{manifest.stem}.inputs.tar.gz")
    digest = write_archive(archive, _members(plan, items))
    return InputsSpec(uri=archive.absolute().as_uri() if absolute else archive.name, sha256=digest)


def _members(plan: Plan, items: Sequence[PlannedItem]) -> Iterator[Member]:
    for item in sorted(items, key=lambda item: item.head):
        if item.head in plan.extractions:
            yield f"extractions/{item.head}.json", plan.extractions[item.head].read_bytes()
        if item.head in plan.tested and plan.tests is not None:
            yield f"tests/{item.head}{TEST_SUFFIX}", (test_in(plan.tests, item.head) or "").encode()
