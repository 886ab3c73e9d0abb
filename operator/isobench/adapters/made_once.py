"""A folder that is made once, however many processes want it and however often its making is interrupted."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from isobench.adapters.files import read_json, write_json

MARKER = "made.json"


@dataclass(frozen=True, slots=True)
class Made:
    """What the making of a folder said of it, and whether it was there before."""

    facts: Mapping[str, Any]
    reused: bool


def forget(folder: Path) -> None:
    """Let ``folder`` be made anew for whoever wants it next."""
    (folder / MARKER).unlink(missing_ok=True)


def make_once(folder: Path, make: Callable[[], Mapping[str, Any]]) -> Made:
    """Let ``make`` fill ``folder`` (which is there and empty), unless that was done before.

    The marker with its facts is written last, so a crash on the way leaves a folder that is made again. One process at
    a time fills a folder. What a failed making left behind, its log above all, stays until the next.
    """
    marker = folder / MARKER
    if marker.is_file():
        return Made(read_json(marker), reused=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        if marker.is_file():
            return Made(read_json(marker), reused=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        facts = make()
        write_json(marker, facts)
        return Made(facts, reused=False)
