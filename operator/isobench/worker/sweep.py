"""sweep: remove the directories of items that are gone from a shared claim."""

import time
from collections.abc import Iterator
from pathlib import Path

from isobench.adapters.files import remove
from isobench.contracts.pod import PodResult, SweepRequest
from isobench.contracts.reasons import Reason

UID_DIGITS = 8
MARGIN_SECONDS = 600.0
"""How old a directory must be, by either clock, before it can be one of an item that was forgotten."""


def sweep(request: SweepRequest) -> PodResult:
    """Remove what no item owns; safe to repeat, and to do beside items that run."""
    removed, failed = 0, []
    for folder in _orphans(request):
        try:
            remove(folder)
            removed += 1
        except OSError as error:
            failed.append(f"{folder.name}: {error.strerror}")
    if failed:
        message = f"{len(failed)} directories can't be removed, the first {failed[0]}"
        return PodResult(
            succeeded=False, reason=Reason.INFRASTRUCTURE_ERROR, message=message, facts={"removed": removed}
        )
    return PodResult(succeeded=True, message=f"removed {removed} directories", facts={"removed": removed})


def _orphans(request: SweepRequest) -> Iterator[Path]:
    namespace = request.places.workspace / request.namespace
    if not namespace.is_dir():
        return
    kept = set(request.keep)
    newest = min(request.decided_at.timestamp(), time.time()) - MARGIN_SECONDS
    for folder in sorted(namespace.iterdir()):
        if folder.name[:UID_DIGITS] not in kept and folder.lstat().st_ctime < newest:
            yield folder
