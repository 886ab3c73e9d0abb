"""Which of an item's files are stored, each with the most that is taken of it, and under which keys. Names only."""

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from isobench.contracts.prepared import Prepared
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.engine.workspace import ARM_FOLDERS

MIB = 2**20
RECORD, JOURNAL, MARKER = "record.json", "journal.json", "done.json"

_SMALL, _LOG, _SAMPLES = 4 * MIB, 16 * MIB, 256 * MIB
_KEY = re.compile(r"[0-9a-f]{8,64}")


class Artifact(NamedTuple):
    """One file: its name in the store, where it is below the workspace's root, and how large it may be."""

    name: str
    path: str
    limit: int


def item_files(status: CommitBenchmarkStatus) -> Iterator[Artifact]:
    """The files that the attempts of ``status`` may have left in the item's folder."""
    yield from (_of_item(name, _LOG) for name in ("prepared.json", "timed.json"))
    yield from (_of_item(name, _SMALL) for name in ("test.py", "extraction.json"))
    yield from (_of_item(f"api/{arm}.json", _LOG) for arm in ARM_FOLDERS)
    yield from (_of_item(f"scripts/{folder}/test.py", _SMALL) for folder in ARM_FOLDERS.values())
    for stage in (StageName.VALIDATE, "gate", "check", StageName.TIMING):
        yield _of_item(f"probe/{stage}/request.json", _SMALL)
        yield _of_item(f"probe/{stage}/probe.log", _LOG)
        yield _of_item(f"probe/{stage}/output/result.json", _SAMPLES)
    yield from (_of_item(f"ledger/{name}.jsonl", _LOG) for name in ("generate", "agent"))
    yield from (_of_item(name, _LOG) for name in AGENT_FILES)
    for attempt in status.stages:
        yield from _of_attempt(attempt.name, attempt.attempt)


AGENT_FILES = (
    *("prompt.json", "task.txt", "openhands_stdout.txt", "openhands_stderr.txt"),
    *("model_patch.diff", "prediction.jsonl", "agent/outcome.json"),
)
"""What the last attempt of an agent leaves."""


def build_logs(prepared: Prepared) -> Iterator[Artifact]:
    """The log of every arm's build; an environment whose name is not a key of ours has none."""
    for arm in prepared.arms:
        key = (arm.environment or "").rpartition("/")[2]
        if _KEY.fullmatch(key):
            yield Artifact(f"build/{arm.name}.log", f"environments/{key}/build.log", _LOG)


def item_prefix(run_id: str, item_id: str) -> str:
    """Where an item's files are in a store."""
    return f"runs/{run_id}/{item_id}"


def entries_prefix(dataset: str) -> str:
    """Where the entries of a dataset are."""
    return f"{dataset}/items/"


def entry_key(dataset: str, run_id: str, item_id: str) -> str:
    """The entry of one run of one item."""
    return f"{entries_prefix(dataset)}{item_id}.{hashlib.sha256(run_id.encode()).hexdigest()[:12]}.json"


def _of_attempt(stage: StageName, number: int) -> Iterator[Artifact]:
    yield _of_item(f"{stage}-{number}.traceback.txt", _SMALL)
    yield _of_item(f"ledger/{stage}-{number}.started", _SMALL)
    names: tuple[str, ...]
    if stage is StageName.GENERATE:
        names = ("prompt.json", "answer.txt", "usage.json", "gateway.log")
        yield from (_of_item(f"generate/{number}/{name}", _LOG) for name in names)
    if stage is StageName.AGENT:
        names = ("ended.json", "repository.json", "end.json", "progress.json", "steps.jsonl", "gateway.log")
        yield from (_of_item(f"agent/{number}/{name}", _LOG) for name in names)


def _of_item(name: str, limit: int) -> Artifact:
    return Artifact(name, f"item/{name}", limit)
