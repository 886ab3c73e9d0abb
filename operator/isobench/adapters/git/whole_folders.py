"""Folders that are there as a whole or not at all, whenever the process is killed."""

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(destination: Path) -> Iterator[Path]:
    """An empty folder to fill; it becomes `destination` (absent or empty) when the block ends well, else it goes.

    One process at a time may fill one destination: it clears away what killed ones have left beside it.
    """
    prefix = f".{destination.name}.unfinished-"
    for leftover in destination.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=destination.parent))
    try:
        folder.chmod(0o777 & ~_umask())
        yield folder
        folder.rename(destination)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _umask() -> int:
    """This process's umask, read from the kernel: asking by `os.umask` would change it for the other threads."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("\nUmask:")[2].split(maxsplit=1)[0], 8)
