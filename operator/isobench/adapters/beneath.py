"""Files below a folder that anybody may have written to: opened by name, never through a link, never out of it."""

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_OPENAT2 = 437
_NO_MAGIC_LINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


class _How(ctypes.Structure):  # struct open_how
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class NotTaken(Exception):
    """The file is there and not what was expected; the message says why, and holds nothing of its content."""


@contextmanager
def open_beneath(folder: Path, name: str) -> Iterator[BinaryIO]:
    """The regular file ``name`` below ``folder``, for reading.

    Raises:
        FileNotFoundError: there is none.
        NotTaken: it is a link, reached through one, no regular file, or not to be read.
    """
    root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = _open(root, name)
    finally:
        os.close(root)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotTaken(f"{name} is no regular file")
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _open(root: int, name: str) -> int:
    # Without blocking: a pipe of that name would be waited on.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    how = _How(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGIC_LINKS)
    descriptor: int = _LIBC.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_long(root),
        os.fsencode(name),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if descriptor >= 0:
        return descriptor
    number = ctypes.get_errno()
    if number in (errno.ELOOP, errno.EXDEV, errno.ENXIO):
        raise NotTaken(f"{name} is a link, leads out of the folder, or is no regular file")
    if number == errno.EACCES:
        raise NotTaken(f"{name} can't be read")
    if number == errno.ENOTDIR:
        raise FileNotFoundError(number, os.strerror(number), name)
    raise OSError(number, os.strerror(number), name)


def take(folder: Path, name: str, destination: Path, limit: int) -> bool:
    """Copy the file ``name`` below ``folder`` to ``destination``; False where there is none.

    Raises:
        NotTaken: it is not a regular file of at most ``limit`` bytes.
        OSError: the copy can't be written.
    """
    try:
        with open_beneath(folder, name) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limit:
                raise NotTaken(f"{name} has {size} bytes, more than the {limit} that are taken")
            destination.parent.mkdir(parents=True, exist_ok=True)
            with destination.open("wb") as copy:
                remaining = limit  # it may grow meanwhile
                while remaining and (chunk := stream.read(min(remaining, 2**20))):
                    copy.write(chunk)
                    remaining -= len(chunk)
    except FileNotFoundError:
        return False
    return True
