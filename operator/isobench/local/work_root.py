"""The work root: every folder that isobench writes to on one machine, beside the data folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from isobench.contracts.base import InvalidInput


@dataclass(frozen=True)
class WorkRoot:
    """`.work` unless configured otherwise; caches and temporary files are below it too."""

    path: Path

    @property
    def trees(self) -> Path:
        """Plain trees of commits."""
        return self.path / "trees"

    @property
    def inputs(self) -> Path:
        """Unpacked input archives by digest."""
        return self.path / "inputs"

    @property
    def locks(self) -> Path:
        """Lock files."""
        return self.path / "locks"

    @property
    def runs(self) -> Path:
        """Items' folders: `<run_id>/<item_id>`."""
        return self.path / "state" / "runs"

    @property
    def batches(self) -> Path:
        """What each batch's runs are called and what they hold."""
        return self.path / "state" / "batches"

    @property
    def temporary(self) -> Path:
        """Temporary files of isobench and of what it starts."""
        return self.path / "tmp"

    @property
    def environments(self) -> Path:
        """Built environments by what decides them."""
        return self.path / "environments"

    @property
    def agents(self) -> Path:
        """Rooms of running agents."""
        return self.path / "agents"

    @property
    def containers(self) -> Path:
        """What the container engine keeps."""
        return self.path / "containers"

    @property
    def probe(self) -> Path:
        """The probe's archive."""
        return self.path / "probe.pyz"

    def create(self) -> None:
        """Make the folders, and make this process's temporary files go below them.

        Raises:
            InvalidInput: the work root can't be made or written.
        """
        try:
            for folder in (self.trees, self.inputs, self.locks, self.runs, self.batches, self.temporary):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(str(self.path), [f"can't be used as the work root ({error.strerror})"]) from None
        if not os.access(self.path, os.W_OK):
            raise InvalidInput(str(self.path), ["can't be written; give another --work-root"])
        os.environ["TMPDIR"] = str(self.temporary)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the work root for one run.

        Raises:
            InvalidInput: another run holds it.
        """
        lock = FileLock(self.locks / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            problem = "another isobench run is using it; wait for that one, or give another --work-root"
            raise InvalidInput(str(self.path), [problem]) from None
        try:
            yield
        finally:
            lock.release()
