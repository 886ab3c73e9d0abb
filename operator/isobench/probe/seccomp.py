"""The seccomp filter of a run: no socket but AF_UNIX, no io_uring, and no kernel object that would outlive the run."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import NamedTuple, Tuple

from . import kernel

_LOAD_WORD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _KILL_PROCESS, _REFUSE_WITH = 0x7FFF0000, 0x80000000, 0x00050000
_X32_CALLS = 0x40000000

_SET_MODE_FILTER, _GET_ACTION_AVAILABLE = 1, 2
# Without this flag kernels before 5.16 turn a speculation mitigation on for filtered processes, and slow what we time.
_SPEC_ALLOW = 1 << 2


class Architecture(NamedTuple):
    """The numbers of one machine: its audit name and the system calls that the filter looks at."""

    audit: int
    seccomp: int
    socket: int
    socketpair: int
    refused: Tuple[int, ...]


_IO_URING = (425, 426, 427)

# Refused beside io_uring, because what they make outlives the process and would carry an answer into the next run:
# shmget, semget, msgget, mq_open, add_key, request_key, keyctl.
ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 317, 41, 53, (29, 64, 68, 240, 248, 249, 250, *_IO_URING)),
    "aarch64": Architecture(0xC00000B7, 277, 198, 199, (194, 190, 186, 180, 217, 218, 219, *_IO_URING)),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _refuse(number: int) -> bytes:
    return _instruction(_RETURN, _REFUSE_WITH | number)


def filter_program(machine: Architecture, sockets_allowed: bool) -> bytes:
    """Build the classic BPF program, 8 bytes an instruction.

    Another architecture's calls kill the process, x32 calls do not exist, lasting objects get EPERM and, unless
    `sockets_allowed`, sockets of any family but AF_UNIX get EACCES.
    """
    program = [
        _instruction(_LOAD_WORD, _OFFSET_ARCHITECTURE),
        _instruction(_JUMP_IF_EQUAL, machine.audit, if_true=1),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD_WORD, _OFFSET_NUMBER),
        _instruction(_JUMP_IF_AT_LEAST, _X32_CALLS, if_false=1),
        _refuse(errno.ENOSYS),
    ]
    for call in machine.refused:
        program += [_instruction(_JUMP_IF_EQUAL, call, if_false=1), _refuse(errno.EPERM)]
    if not sockets_allowed:
        program += [
            _instruction(_JUMP_IF_EQUAL, machine.socket, if_true=1),
            _instruction(_JUMP_IF_EQUAL, machine.socketpair, if_false=3),
            _instruction(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT),
            _instruction(_JUMP_IF_EQUAL, socket.AF_UNIX, if_true=1),
            _refuse(errno.EACCES),
        ]
    return b"".join([*program, _instruction(_RETURN, _ALLOW)])


def available() -> bool:
    """Whether this kernel takes filters that refuse calls, and this machine's call numbers are known."""
    if kernel.MACHINE not in ARCHITECTURES:
        return False
    action = ctypes.c_uint32(_REFUSE_WITH)
    try:
        kernel.syscall("seccomp", ARCHITECTURES[kernel.MACHINE].seccomp, _GET_ACTION_AVAILABLE, 0, ctypes.byref(action))
    except OSError:
        return False
    return True


class Filter:
    """A filter that is ready to be installed between fork and exec."""

    def __init__(self, sockets_allowed: bool) -> None:
        """Build it for this machine; raises KeyError on a machine that is not in ARCHITECTURES."""
        self._machine = ARCHITECTURES[kernel.MACHINE]
        self._instructions = filter_program(self._machine, sockets_allowed)
        self._program = _Program(len(self._instructions) // 8, self._instructions)
        self._reference = ctypes.byref(self._program)

    def install(self) -> None:
        """Filter this process and all that it starts, for good (needs no_new_privs); raises OSError."""
        kernel.syscall("seccomp", self._machine.seccomp, _SET_MODE_FILTER, _SPEC_ALLOW, self._reference)
