"""Starting runs: this process made fit for it, then for each fork, confine, exec."""

from __future__ import annotations

import contextlib
import os
from typing import Callable, Dict, List, NamedTuple, Protocol

from . import kernel
from .confinement import Confinement
from .lifeline import end_with_launcher

_CANNOT_START = 127


class Streams(Protocol):
    """Where a child's standard output and error go."""

    child_ends: List[int]

    def release_child_ends(self) -> None:
        """Close the write ends here, once the child has them."""


class Command(NamedTuple):
    """What to execute: argument vector, the whole environment, and the working directory."""

    arguments: List[str]
    environment: Dict[str, str]
    directory: str


def take_over() -> None:
    """Make this process what runs are children of: ended with its launcher, closed to them, heir of what they leave."""
    end_with_launcher()
    kernel.hide_from_debuggers()
    kernel.adopt_orphans()
    _close_descriptors_on_exec()


def _close_descriptors_on_exec() -> None:
    """Keep whatever the launcher left open here out of every run."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the listing's own descriptor is gone by now
                os.set_inheritable(int(name), False)


def launch(command: Command, capture: Streams, confinement: Confinement) -> int:
    """Start `command` in a session of its own, confined, with no input and its output captured; return its PID.

    A child that can't be confined or started says why on its standard error and exits with status 127.
    """

    with confinement.prepared() as enter:

        def become_command() -> None:
            os.chdir(command.directory)
            enter()
            os.execve(command.arguments[0], command.arguments, command.environment)

        return fork_child(become_command, capture)


def fork_child(act: Callable[[], None], capture: Streams) -> int:
    """Fork a child that does `act` with its standard streams redirected and never returns from here; return its PID."""
    no_input = os.open(os.devnull, os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            for standard, descriptor in enumerate((no_input, *capture.child_ends)):
                os.dup2(descriptor, standard)
            act()
            os._exit(0)
        except OSError as error:
            os.write(2, ("the run could not be started: %s\n" % error).encode())
        finally:
            os._exit(_CANNOT_START)
    os.close(no_input)
    capture.release_child_ends()
    return pid
