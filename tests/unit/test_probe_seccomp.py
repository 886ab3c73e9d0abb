"""The filter of both machines, run on an interpreter of its own instruction set: what each call is answered."""

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.probe.seccomp import ARCHITECTURES, filter_program

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
X86_64, AARCH64, I386, ARM = 0xC000003E, 0xC00000B7, 0x40000003, 0x40000028

machines = pytest.mark.parametrize("name", ARCHITECTURES)


def answer(name: str, number: int, first_argument: int = 0, audit: int | None = None, sockets: bool = False) -> int:
    """What the kernel would do with a call: classic BPF, as far as the program uses it."""
    program = list(struct.iter_unpack("<HBBI", filter_program(ARCHITECTURES[name], sockets)))
    machine = ARCHITECTURES[name].audit if audit is None else audit
    data = struct.pack("<iIQ6Q", number, machine, 0, first_argument & (2**64 - 1), 0, 0, 0, 0, 0)
    accumulator = position = 0
    while True:
        code, if_true, if_false, value = program[position]
        position += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, value)[0]
        else:
            taken = accumulator == value if code == 0x15 else accumulator >= value
            position += if_true if taken else if_false


@machines
@given(family=st.integers(-(2**31), 2**31 - 1))
def test_only_unix_sockets_are_allowed(name: str, family: int) -> None:
    expected = ALLOW if family == socket.AF_UNIX else ERRNO | errno.EACCES
    calls = ARCHITECTURES[name]
    assert answer(name, calls.socket, family) == answer(name, calls.socketpair, family) == expected


@machines
@given(upper=st.integers(1, 2**32 - 1))
def test_the_kernel_ignores_the_upper_half_of_a_family_and_so_does_the_filter(name: str, upper: int) -> None:
    disguised = (upper << 32) | socket.AF_INET
    assert answer(name, ARCHITECTURES[name].socket, disguised) == ERRNO | errno.EACCES


@machines
@given(number=st.integers(0, 600))
def test_every_other_call_is_allowed_unless_it_is_listed(name: str, number: int) -> None:
    calls = ARCHITECTURES[name]
    if number not in (calls.socket, calls.socketpair):
        assert answer(name, number) == (ERRNO | errno.EPERM if number in calls.refused else ALLOW)


@machines
@given(number=st.integers(0, 2**30 - 1))
def test_the_second_numbering_of_calls_does_not_exist(name: str, number: int) -> None:
    assert answer(name, 0x40000000 | number) == ERRNO | errno.ENOSYS


@pytest.mark.parametrize(("name", "audit"), [("x86_64", I386), ("x86_64", AARCH64), ("aarch64", ARM)])
@given(number=st.integers(0, 500))
def test_another_architectures_calls_end_the_process(name: str, audit: int, number: int) -> None:
    assert answer(name, number, audit=audit) == KILL


@machines
def test_io_uring_is_refused_even_where_sockets_are_allowed(name: str) -> None:
    assert {answer(name, call, sockets=True) for call in (425, 426, 427)} == {ERRNO | errno.EPERM}
    assert answer(name, ARCHITECTURES[name].socket, socket.AF_INET, sockets=True) == ALLOW
