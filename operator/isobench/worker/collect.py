"""collect's pod: record, journal and files into the store; the only container with its credentials.

Untrusted containers have written to the workspace, so only listed names are opened, as regular files below it, and
copied to this pod's scratch; everything else here works on the copies.
"""

import hashlib
from pathlib import Path

import isobench
from isobench.adapters.beneath import NotTaken, take
from isobench.adapters.files import read_model
from isobench.adapters.store import Store, open_store
from isobench.contracts.journal import Journal
from isobench.contracts.pod import PodRequest
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import Artifacts, CommitBenchmarkStatus, StageName, StageState, StageStatus
from isobench.contracts.stored import DatasetEntry, Marker, StoredFile
from isobench.engine.artifacts import (
    JOURNAL,
    MARKER,
    RECORD,
    Artifact,
    build_logs,
    entry_key,
    item_files,
    item_prefix,
)
from isobench.engine.endings import condition_of, with_condition
from isobench.engine.workspace import Workspace
from isobench.stages import collect as collecting
from isobench.stages.attempt import Done, attempt
from isobench.worker.pod import Pod, now


def collect(request: PodRequest) -> StageResult:
    """Store everything of the item, the marker last; a repetition finds the marker and stores nothing again.

    An item that was asked for again, and tried, is no repetition: what it left is stored over what it left before.
    """
    return attempt(request.item, now, request.places.scratch, lambda: _collect(request))


def _collect(request: PodRequest) -> Done:
    output, item = request.item.spec.output, request.item
    store = open_store(output.store, output.endpoint)
    prefix = item_prefix(item.run_id, item.item_id)
    status = request.status or CommitBenchmarkStatus()
    stored = _marker(store, f"{prefix}/{MARKER}")
    if stored is not None and _covers(stored, status):
        return _done(store, prefix, stored, "it was stored before")
    copies = request.places.scratch / "collect"
    left_out = _take_files(Pod(request), status, copies)
    _write_record_and_journal(request, status, store, copies)
    marker = _upload(request, status, store, copies, left_out)
    _enter_into_dataset(request, status, store, read_model(copies / JOURNAL, Journal))
    _mark(store, f"{prefix}/{MARKER}", marker)
    return _done(store, prefix, marker, "")


def _marker(store: Store, key: str) -> Marker | None:
    content = store.get(key)
    return Marker.model_validate_json(content) if content is not None else None


def _covers(marker: Marker, status: CommitBenchmarkStatus) -> bool:
    """Whether what is stored tells of all that was tried, or holds a record that nothing tried since can replace."""
    before = _before_collect(status)
    new = bool(before) and before[-1].name is StageName.TIMING and before[-1].state is StageState.SUCCEEDED
    return marker.attempts == len(before) or (marker.recorded and not new)


def _before_collect(status: CommitBenchmarkStatus) -> list[StageStatus]:
    return [attempt for attempt in status.stages if attempt.name is not StageName.COLLECT]


def _take_files(pod: Pod, status: CommitBenchmarkStatus, copies: Path) -> list[str]:
    """Copy what there is to ``copies``; what is there and can't be taken is returned, a sentence each."""
    left_out = [sentence for file in item_files(status) if (sentence := _take(pod, file, copies))]
    prepared = copies / "prepared.json"
    logs = build_logs(read_model(prepared, Prepared)) if prepared.is_file() else ()
    return left_out + [sentence for file in logs if (sentence := _take(pod, file, copies))]


def _take(pod: Pod, file: Artifact, copies: Path) -> str | None:
    try:
        take(pod.root, file.path, copies / file.name, file.limit)
    except NotTaken as reason:
        return str(reason)
    return None


def _write_record_and_journal(request: PodRequest, status: CommitBenchmarkStatus, store: Store, copies: Path) -> None:
    prefix = item_prefix(request.item.run_id, request.item.item_id)
    ports = collecting.CollectPorts(
        workspace=Workspace(copies),
        clock=now,
        status=lambda: status,
        store=lambda record: store.uri(f"{prefix}/{RECORD}"),
        folder=prefix,
        uri=lambda path: store.uri(f"{prefix}/{path.relative_to(copies)}"),
    )
    result = collecting.run(request.item, ports)
    if not result.succeeded:
        raise ItemFailure(result.reason or Reason.INFRASTRUCTURE_ERROR, result.message)


def _upload(
    request: PodRequest, status: CommitBenchmarkStatus, store: Store, copies: Path, left_out: list[str]
) -> Marker:
    """Upload every copy, record and journal after all others; the marker that lists them."""
    prefix = item_prefix(request.item.run_id, request.item.item_id)
    files = {path.relative_to(copies).as_posix(): path for path in copies.rglob("*") if path.is_file()}
    for name in sorted(files, key=lambda name: (name in (RECORD, JOURNAL), name)):
        store.put_file(f"{prefix}/{name}", files[name])
    journal = read_model(copies / JOURNAL, Journal)
    return Marker(
        isobench=isobench.__version__,
        run_id=request.item.run_id,
        item_id=request.item.item_id,
        attempts=len(_before_collect(status)),
        outcome=journal.outcome,
        recorded=RECORD in files,
        files={name: _described(path) for name, path in sorted(files.items())},
        left_out=left_out,
    )


def _described(path: Path) -> StoredFile:
    with path.open("rb") as stream:
        return StoredFile(bytes=path.stat().st_size, sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def _enter_into_dataset(request: PodRequest, status: CommitBenchmarkStatus, store: Store, journal: Journal) -> None:
    item = request.item
    if item.spec.output.dataset is None:
        return
    recorded = journal.outcome is Reason.RECORDED
    answer = condition_of("Succeeded", "True" if recorded else "False", journal.outcome, now(), journal.message)
    entry = DatasetEntry(
        run_id=item.run_id,
        item_id=item.item_id,
        batch=request.batch,
        recorded=recorded,
        finished_at=journal.finished_at,
        status=status.model_copy(update={"conditions": with_condition(status.conditions, answer)}),
    )
    key = entry_key(item.spec.output.dataset, item.run_id, item.item_id)
    store.put(key, entry.model_dump_json(exclude_none=True).encode())


def _mark(store: Store, key: str, marker: Marker) -> None:
    """Write the marker, and read it back: what can't be read again is not stored."""
    content = marker.model_dump_json(indent=1).encode()
    store.put(key, content)
    if store.get(key) != content:
        message = f"{store.uri(key)} reads otherwise than it was written: does somebody else write there?"
        raise ItemFailure(Reason.STORE_UNAVAILABLE, message)


def _done(store: Store, prefix: str, marker: Marker, message: str) -> Done:
    record = store.uri(f"{prefix}/{RECORD}") if marker.recorded else None
    artifacts = Artifacts(record_uri=record, journal_uri=store.uri(f"{prefix}/{JOURNAL}"))
    return Done(message, artifacts=artifacts, facts={"files": len(marker.files), "left_out": len(marker.left_out)})
