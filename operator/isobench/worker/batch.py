"""The end of a batch: `export` writes the dataset from all its records in the store, `publish` sends it to the hub."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from isobench.adapters.dataset import DatasetFile
from isobench.adapters.hub.publishing import PublishError
from isobench.adapters.store import Store, open_store
from isobench.contracts.base import InvalidInput
from isobench.contracts.pod import ExportRequest, PodResult, PublishRequest
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.record import Record
from isobench.contracts.stage import MESSAGE_BYTES
from isobench.contracts.stored import DatasetEntry
from isobench.engine.artifacts import RECORD, entries_prefix, item_prefix
from isobench.engine.summary import Tally
from isobench.stages.publish import publish_dataset

DATASET, SUMMARY = "dataset.jsonl", "summary.json"


def export(request: ExportRequest) -> PodResult:
    """Write `dataset.jsonl` and then `summary.json`, the same for the same records; safe to repeat."""
    return _ended(lambda: _export(request))


def publish(request: PublishRequest) -> PodResult:
    """Merge the exported dataset into the hub's; the only container with the hub's token."""
    return _ended(lambda: _publish(request))


def _ended(work: Callable[[], PodResult]) -> PodResult:
    try:
        return work()
    except ItemFailure as failure:
        return _failed(failure.reason, failure.message)
    except InvalidInput as error:
        return _failed(Reason.INVALID_SPEC, str(error))
    except PublishError as error:
        return _failed(Reason.STORE_UNAVAILABLE, str(error))


def _failed(reason: Reason, message: str) -> PodResult:
    return PodResult(succeeded=False, reason=reason, message=message[:MESSAGE_BYTES])


def _export(request: ExportRequest) -> PodResult:
    store = open_store(request.store, request.endpoint)
    tally, records, missing = Tally(), 0, 0
    with TemporaryDirectory(dir=request.places.scratch) as folder:
        dataset = DatasetFile(Path(folder, DATASET))
        for entry in _entries(store, request.dataset):
            tally.add(entry.status)
            if entry.recorded:
                found = _record(store, entry)
                missing += found is None
                if found is not None:
                    dataset.store(found)
        dataset.path.touch()
        records = sum(1 for _ in dataset.rows())
        store.put_file(f"{request.dataset}/{DATASET}", dataset.path)
    summary = {"dataset": request.dataset, "records": records, **tally.as_json()}
    store.put(f"{request.dataset}/{SUMMARY}", (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode())
    items = tally.done + tally.failed
    message = f"{records} records of {items} items are in {store.uri(f'{request.dataset}/{DATASET}')}"
    return PodResult(succeeded=True, message=message, facts={"records": records, "items": items, "missing": missing})


def _entries(store: Store, dataset: str) -> Iterator[DatasetEntry]:
    """Every run of every item, in the order in which they ended: the first record of a commit stays."""
    contents = (store.get(key) for key in store.keys(entries_prefix(dataset)))
    entries = (DatasetEntry.model_validate_json(content) for content in contents if content)
    yield from sorted(entries, key=lambda entry: (entry.finished_at, entry.item_id))


def _record(store: Store, entry: DatasetEntry) -> Record | None:
    content = store.get(f"{item_prefix(entry.run_id, entry.item_id)}/{RECORD}")
    return Record.parse(json.loads(content), f"{entry.item_id}/{RECORD}") if content else None


def _publish(request: PublishRequest) -> PodResult:
    store = open_store(request.store, request.endpoint)
    with TemporaryDirectory(dir=request.places.scratch) as folder:
        dataset = Path(folder, f"{request.dataset}.jsonl")
        if not store.fetch(f"{request.dataset}/{DATASET}", dataset):
            where = store.uri(f"{request.dataset}/{DATASET}")
            raise InvalidInput("publish", [f"{where} is not there: it is exported before it can be published"])
        report = publish_dataset(dataset, request.publish, os.environ, Path(folder))
    counts = {change: report.count(change) for change in ("added", "replaced", "unchanged")}
    said = ", ".join(f"{count} {change}" for change, count in counts.items())
    return PodResult(succeeded=True, message=said, facts={**counts, "commit": report.commit_url or ""})
