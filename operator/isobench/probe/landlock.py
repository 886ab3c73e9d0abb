"""Landlock: what a run may read and write, enforced by the kernel without any privilege (Linux 5.13 or newer)."""

from __future__ import annotations

import ctypes
import os
import stat
from typing import Iterable, Tuple

from . import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHARACTER_DEVICE, _MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_SCOPES = 0b11  # abstract unix sockets and signals stay inside the run (ABI 6)

_ALL_RIGHTS = 0xFFFF
READ = _EXECUTE | _READ_FILE | _READ_DIRECTORY
LIST = _READ_DIRECTORY
WRITE = _ALL_RIGHTS & ~(_MAKE_CHARACTER_DEVICE | _MAKE_BLOCK_DEVICE)


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):  # packed in the kernel, which only means that it reads 12 of these 16 bytes
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the kernel's Landlock ABI, 0 where it has none."""
    try:
        return kernel.syscall("landlock_create_ruleset", _CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def create_ruleset(abi: int, rules: Iterable[Tuple[str, int]]) -> int:
    """Return the descriptor of a ruleset that denies all file access but `rules`: paths, with what is allowed at and
    below each; raises OSError.
    """
    known = _ALL_RIGHTS
    for right, since in ((_REFER, 2), (_TRUNCATE, 3), (_IOCTL_DEVICE, 5)):
        if abi < since:
            known &= ~right
    attributes = _RulesetAttributes(known, 0, _SCOPES if abi >= 6 else 0)
    size = ctypes.sizeof(attributes) if abi >= 6 else 8
    ruleset = kernel.syscall("landlock_create_ruleset", _CREATE_RULESET, ctypes.byref(attributes), size, 0)
    for path, rights in rules:
        _add_rule(ruleset, path, rights & known)
    return ruleset


def _add_rule(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        beneath = _PathBeneath(rights, descriptor)
        kernel.syscall("landlock_add_rule", _ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(descriptor)


def restrict_self(ruleset: int) -> None:
    """Put this process and all that it starts under `ruleset` for good (needs no_new_privs); raises OSError."""
    kernel.syscall("landlock_restrict_self", _RESTRICT_SELF, ruleset, 0)
