"""A run's fresh state: a new directory with its home, cache and temporary directories, and an empty /dev/shm."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterator, List

SHARED_MEMORY = "/dev/shm"

_VARIABLES = {
    "HOME": "home",
    "TMPDIR": "tmp",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
    "XDG_RUNTIME_DIR": "runtime",
}
_WORKING_DIRECTORY = "work"


class Scratch:
    """Makes one run directory at a time, always at the same path, and leaves nothing of it.

    /dev/shm is emptied and weighed too, if it is this probe's own: mounted by it, or its container's, which is so when
    it has a container and found it empty. Another one is never touched, and runs may not write to it.
    """

    def __init__(self, parent: str, own_container: bool = False, in_memory: bool = False) -> None:
        """Put run directories into `parent`, and clear what a killed probe left there.

        `own_container` says that the probe shares its container with nobody, `in_memory` that both `parent` and
        /dev/shm are file systems of the probe's own.
        """
        self.directory = os.path.join(parent, "run")
        self.environment = {name: os.path.join(self.directory, leaf) for name, leaf in _VARIABLES.items()}
        self.working_directory = os.path.join(self.directory, _WORKING_DIRECTORY)
        self.in_memory = in_memory
        self.owns_shared_memory = in_memory or (own_container and _is_empty(SHARED_MEMORY))
        self._shared_memory_mode = stat.S_IMODE(os.stat(SHARED_MEMORY).st_mode) if self.owns_shared_memory else 0
        self.remove()

    def writable(self) -> List[str]:
        """List the directories that a run may write to."""
        return [self.directory, *([SHARED_MEMORY] if self.owns_shared_memory else [])]

    def create(self) -> None:
        """Make the run directory; raises OSError."""
        os.mkdir(self.directory, 0o700)
        for leaf in (_WORKING_DIRECTORY, *_VARIABLES.values()):
            os.mkdir(os.path.join(self.directory, leaf), 0o700)

    def used_bytes(self) -> int:
        """Bytes that the run holds on disk or in memory; in memory those of files without a name count too."""
        used = _filled_bytes(self.directory) if self.in_memory else sum(_entry_bytes(self.directory))
        return used + (_filled_bytes(SHARED_MEMORY) if self.owns_shared_memory else 0)

    def remove(self) -> None:
        """Remove everything that the run wrote; raises OSError."""
        if self.owns_shared_memory:
            with contextlib.suppress(PermissionError):  # in a container without root it has another owner
                os.chmod(SHARED_MEMORY, self._shared_memory_mode)
            empty_folder(SHARED_MEMORY)
        if os.path.isdir(self.directory):
            os.chmod(self.directory, 0o700)
            empty_folder(self.directory)
            os.rmdir(self.directory)


def _is_empty(directory: str) -> bool:
    return os.path.isdir(directory) and not os.listdir(directory)


def _filled_bytes(directory: str) -> int:
    """Bytes in use in the whole file system of `directory`."""
    system = os.statvfs(directory)
    return (system.f_blocks - system.f_bfree) * system.f_frsize


def _entry_bytes(directory: str) -> Iterator[int]:
    pending = [directory]
    while pending:
        with contextlib.suppress(OSError):  # entries come and go while a run writes
            for entry in os.scandir(pending.pop()):
                yield entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)


def empty_folder(directory: str) -> None:
    """Remove everything below `directory`, however deep and whatever its modes.

    Directories inside directories are first moved up to `directory`, so that neither paths nor recursion get long.
    """
    while True:
        filled = [path for path in _unlink_files(directory) if not _remove_empty(path)]
        if not filled:
            return
        for path in filled:
            os.chmod(path, 0o700)
            for inner in _unlink_files(path):
                os.chmod(inner, 0o700)  # moving a directory rewrites its entry for the parent
                os.rename(inner, os.path.join(directory, "moved-" + os.urandom(16).hex()))
            os.rmdir(path)


def _unlink_files(directory: str) -> List[str]:
    """Remove what is not a directory, and return the paths of the directories."""
    entries = list(os.scandir(directory))
    directories = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
    return directories


def _remove_empty(directory: str) -> bool:
    try:
        os.rmdir(directory)
    except OSError:
        return False
    return True
