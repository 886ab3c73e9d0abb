"""The kernel calls that the standard library has no name for, through ctypes."""

from __future__ import annotations

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

MACHINE = os.uname().machine

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522

# capset(2): the header {version, pid 0 = this process} and two empty sets of {effective, permitted, inheritable}.
_CAPABILITY_HEADER = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()


def checked(result: int, call: str) -> int:
    """Return a C call's result, or raise OSError with `call`'s name when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (call, os.strerror(number)))
    return result


def syscall(call: str, number: int, *arguments: object) -> int:
    """Make system call `number` and return its result; integers are passed as C longs.

    Raises OSError that carries `call`'s name.
    """
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return checked(LIBC.syscall(ctypes.c_long(number), *converted), call)


def _prctl(call: str, option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    checked(LIBC.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero), call)


def hide_from_debuggers() -> None:
    """Make this process's memory and descriptors unreadable for others of the same user."""
    _prctl("prctl(PR_SET_DUMPABLE)", _PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, so that none can slip away."""
    _prctl("prctl(PR_SET_CHILD_SUBREAPER)", _PR_SET_CHILD_SUBREAPER, 1)


def renounce_privileges() -> None:
    """Give up every capability for good: with no_new_privs an exec can't bring one back, not even for user 0."""
    _prctl("prctl(PR_SET_NO_NEW_PRIVS)", _PR_SET_NO_NEW_PRIVS, 1)
    checked(LIBC.capset(_CAPABILITY_HEADER, _NO_CAPABILITIES), "capset")
