"""Keeps one process confined, in time and in bounds, and leaves nothing of it: for agents and a project's own checks.

Like a timed run it gets Landlock, the system call filter and no capability; unlike one it has a deadline of minutes,
may write to some folders that stay, and is asked to end before it is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from . import landlock, seccomp
from .confinement import Bounds, Confinement, Reach
from .launch import fork_child, take_over
from .mounts import mount_terminals
from .outputs import Outputs
from .processes import Offspring, memory_bytes
from .scratch import SHARED_MEMORY
from .watch import exit_code

RESULT = "keeper.json"
_POLL_SECONDS = 0.25
_DISK_PAUSE_SECONDS = 1.0
_MOST_ENTRIES = 1000000
_MACHINE_PROCESSES = 0xEFFFFFFC  # the inode of the first process namespace, on every Linux
_TERMINALS = ("/dev/ptmx", "/dev/pts", "/dev/tty")


class Keep(NamedTuple):
    """What to keep, and its bounds."""

    arguments: List[str]
    environment: Dict[str, str]
    """All of it."""
    directory: str
    stdin: Optional[str]
    """A file with the process's input; it is removed as soon as it is open."""
    python: str
    """The interpreter that it uses: its installation is readable."""
    readable: List[str]
    writable: List[str]
    output: str
    """A folder for stdout.txt, stderr.txt and the result, out of the process's reach."""
    seconds: float
    grace_seconds: float
    memory_bytes: int
    processes: int
    disk_bytes: int
    """What it may add to the folders that it may write to."""
    output_bytes: int
    sockets: bool
    """Whether it may open sockets of every family: only where a person asked for an open network."""


def keep(path: str) -> int:
    """Follow the request in the file `path`; return 0 when there is a result, however the process ended."""
    with open(path, encoding="utf-8") as file:
        request = Keep(**json.load(file))
    take_over()
    result = _Keeping(request).result()
    temporary = os.path.join(request.output, ".%s.tmp" % RESULT)
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(result, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, os.path.join(request.output, RESULT))
    return 0


class _Stopped(Exception):
    """A bound was broken; the message is a sentence."""

    def __init__(self, message: str, out_of_time: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.out_of_time = out_of_time


class _Keeping:
    def __init__(self, request: Keep) -> None:
        self._request = request
        self._offspring = Offspring()
        self._abi = landlock.version()
        if not self._abi or not seccomp.available():
            raise OSError("this kernel lacks %s" % ("seccomp filters" if self._abi else "Landlock"))
        self._confinement = self._confine()
        self._outputs = Outputs(request.output, request.output_bytes)
        self._disk_before = _disk_bytes(request.writable)
        self._next_disk_check = 0.0

    def result(self) -> Dict[str, Any]:
        started = time.monotonic()
        stopped = None
        code: Optional[int] = None
        left = 0
        try:
            pid = self._launch()
            try:
                code = self._watch(pid, started + self._request.seconds)
                left = len(self._offspring.settle(0.2))
            except _Stopped as stop:
                stopped = stop
                code = self._ask_to_end(pid)
        finally:
            self._offspring.kill()
            self._outputs.finish()
        return {
            "exit_code": code,
            "stopped": stopped and stopped.message,
            "out_of_time": bool(stopped and stopped.out_of_time),
            "left": left,
            "seconds": time.monotonic() - started,
            "landlock": self._abi,
            "pid_namespace": os.getpid() == 1,
        }

    def _confine(self) -> Confinement:
        request = self._request
        readable, writable = [request.directory, *request.readable], [*request.writable, *_devices()]
        bounds = Bounds(tuple(sorted(os.sched_getaffinity(0))), request.memory_bytes, request.disk_bytes)
        calls = seccomp.Filter(sockets_allowed=request.sockets)
        return Confinement(Reach(request.python, readable, writable), bounds, self._abi, calls)

    def _launch(self) -> int:
        request = self._request
        stdin = None
        if request.stdin is not None:
            stdin = os.open(request.stdin, os.O_RDONLY | os.O_CLOEXEC)
            os.unlink(request.stdin)
        with self._confinement.prepared() as enter:

            def become_command() -> None:
                os.chdir(request.directory)
                if stdin is not None:
                    os.dup2(stdin, 0)
                enter()
                os.execvpe(request.arguments[0], request.arguments, request.environment)

            return fork_child(become_command, self._outputs)

    def _watch(self, pid: int, deadline: float) -> int:
        """Wait for the process to end and return its exit code; raises _Stopped when a bound is broken before."""
        next_poll = time.monotonic()
        while True:
            for ended, status in self._wait(min(deadline, next_poll)):
                if ended == pid:
                    return exit_code(status)
            now = time.monotonic()
            if now >= deadline:
                raise _Stopped("it was ended at its time limit of %.6g s" % self._request.seconds, out_of_time=True)
            if now >= next_poll:
                self._check_processes()
                self._check_disk()
                next_poll = time.monotonic() + _POLL_SECONDS

    def _wait(self, until: float) -> Iterator["tuple[int, int]"]:
        descriptors = [self._offspring.wakeup, *self._outputs.open]
        ready, _, _ = select.select(descriptors, [], [], max(0.0, until - time.monotonic()))
        for descriptor in ready:
            if descriptor != self._offspring.wakeup:
                self._outputs.read(descriptor)
        return self._offspring.reap()

    def _ask_to_end(self, pid: int) -> Optional[int]:
        """Send every process SIGTERM and wait a while for the first to end; its exit code, None if it did not."""
        for process in self._offspring.live():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._request.grace_seconds
        while time.monotonic() < deadline and self._offspring.any_left():
            for ended, status in self._wait(min(deadline, time.monotonic() + _POLL_SECONDS)):
                if ended == pid:
                    return exit_code(status)
        return None

    def _check_processes(self) -> None:
        live = self._offspring.live()
        if len(live) > self._request.processes:
            raise _Stopped("it had %d processes and may have %d" % (len(live), self._request.processes))
        memory = memory_bytes(live, self._request.memory_bytes)
        if memory > self._request.memory_bytes:
            raise _Stopped("it held %d bytes of memory and may hold %d" % (memory, self._request.memory_bytes))

    def _check_disk(self) -> None:
        started = time.monotonic()
        if started < self._next_disk_check:
            return
        added = _disk_bytes(self._request.writable) - self._disk_before
        if added > self._request.disk_bytes:
            raise _Stopped("it wrote %d bytes to disk and may write %d" % (added, self._request.disk_bytes))
        self._next_disk_check = time.monotonic() + max(_DISK_PAUSE_SECONDS, 10 * (time.monotonic() - started))


def _devices() -> Iterator[str]:
    """Terminals and shared memory that are nobody else's: mounted just now, or a container's and not in use."""
    contained = os.stat("/proc/self/ns/pid").st_ino != _MACHINE_PROCESSES
    if mount_terminals() or (contained and set(os.listdir("/dev/pts")) <= {"ptmx"}):
        yield from (path for path in _TERMINALS if os.path.exists(path))
    if contained and not os.listdir(SHARED_MEMORY):
        yield SHARED_MEMORY


def _disk_bytes(folders: List[str]) -> int:
    """Bytes on disk below `folders`; raises _Stopped when there are too many entries to look at."""
    used, entries, pending = 0, 0, list(folders)
    while pending:
        with contextlib.suppress(OSError):  # entries come and go, and some can't be looked into
            for entry in os.scandir(pending.pop()):
                used += entry.stat(follow_symlinks=False).st_blocks * 512
                entries += 1
                if entries > _MOST_ENTRIES:
                    raise _Stopped("it made more than %d files" % _MOST_ENTRIES)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return used
