"""Hardware counters of a run and of all that it starts, where the kernel lends them (perf_event_open)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import Callable, Iterator, NamedTuple, Optional

from . import kernel

_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_DISABLED, _INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR, _ENABLE_ON_EXEC = 1 << 0, 1 << 1, 1 << 5, 1 << 6, 1 << 12
_FORMAT_TOTAL_TIMES = 0b11
_CLOSE_ON_EXEC = 8


class Event(NamedTuple):
    """What to count: the kernel's event type and its number there."""

    kind: int
    config: int


INSTRUCTIONS = Event(kind=0, config=1)


@contextlib.contextmanager
def counting(event: Optional[Event]) -> Iterator[Callable[[], Optional[int]]]:
    """Count `event` in the next child of this process from its exec on, and in its descendants.

    Yields the call that reads the count of those that have ended: None without an event, or when the hardware counted
    only a part of the time. Raises OSError where the kernel does not lend the counter.
    """
    if event is None:
        yield lambda: None
        return
    descriptor = _open(event)
    try:
        yield lambda: _read(descriptor)
    finally:
        os.close(descriptor)


def available(event: Event) -> bool:
    """Whether this kernel lends the counter."""
    try:
        with counting(event):
            return True
    except (OSError, KeyError):  # refused, or a machine that is not in the table
        return False


def _open(event: Event) -> int:
    flags = _DISABLED | _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR | _ENABLE_ON_EXEC
    attributes = struct.pack("<IIQQQQQIIQ", event.kind, 64, event.config, 0, 0, _FORMAT_TOTAL_TIMES, flags, 0, 0, 0)
    number = _PERF_EVENT_OPEN[kernel.MACHINE]
    buffer = ctypes.create_string_buffer(attributes, 64)
    # On this process itself: its child inherits the event and, with it, the order to start at exec.
    return kernel.syscall("perf_event_open", number, buffer, 0, -1, -1, _CLOSE_ON_EXEC)


def _read(descriptor: int) -> Optional[int]:
    count, enabled, running = struct.unpack("<QQQ", os.read(descriptor, 24))
    return int(count) if running and running == enabled else None
