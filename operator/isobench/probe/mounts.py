"""A mount namespace of the probe's own, where it may have one: scratch space that is memory and goes with the probe."""

from __future__ import annotations

import ctypes
import os
from typing import Iterable, Optional

from . import kernel

_NEW_MOUNT_NAMESPACE = 0x00020000
_NO_SUID, _NO_DEVICES, _RECURSIVE, _PRIVATE = 1 << 1, 1 << 2, 1 << 14, 1 << 18


def mount_memory(paths: Iterable[str], size: int) -> bool:
    """Mount an empty tmpfs of `size` bytes over each of `paths`, for this process and its children only.

    Return False, and change nothing, where this process may not: a container's without privileges.
    """
    try:
        kernel.checked(kernel.LIBC.unshare(_NEW_MOUNT_NAMESPACE), "unshare")
        _mount(None, "/", _RECURSIVE | _PRIVATE, "")
    except OSError:
        return False
    for path in paths:
        _mount("tmpfs", path, _NO_SUID | _NO_DEVICES, "mode=1777,size=%d" % size)
    return True


def mount_terminals() -> bool:
    """Mount an instance of pseudo-terminals of this process's own; False where it may not."""
    try:
        _mount("devpts", "/dev/pts", _NO_SUID, "newinstance,ptmxmode=0666,mode=0620")
    except OSError:
        return False
    return True


def _mount(kind: Optional[str], path: str, flags: int, options: str) -> None:
    name = None if kind is None else kind.encode()
    kernel.checked(
        kernel.LIBC.mount(name, os.fsencode(path), name, ctypes.c_ulong(flags), options.encode()), "mount on " + path
    )
