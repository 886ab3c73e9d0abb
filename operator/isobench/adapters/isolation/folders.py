"""Folders that somebody hostile wrote: removed however deep they are and whatever their modes."""

from pathlib import Path

from isobench.probe.scratch import empty_folder


def clear(folder: Path) -> None:
    """Remove ``folder`` and everything below it; links are removed, not followed."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    folder.chmod(0o700)
    empty_folder(str(folder))
    folder.rmdir()
