"""What a command and all of its processes write, as the kernel sees it: every successful call that changes a file."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BY_PATH = ("creat", "truncate", "mkdir", "rmdir", "unlink", "mknod", "chmod", "chown", "lchown", "utime", "utimes")
_BY_DIRECTORY = (
    "openat",
    "openat2",
    "mkdirat",
    "unlinkat",
    "mknodat",
    "fchmodat",
    "fchownat",
    "utimensat",
    "futimesat",
)
_RENAMES = ("rename", "renameat", "renameat2", "link", "linkat")
_SYMLINKS = ("symlink", "symlinkat")
_PLACES = ("chdir", "fchdir", "mount")
_CALLS = ("open", *_BY_PATH, *_BY_DIRECTORY, *_RENAMES, *_SYMLINKS, *_PLACES)

_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += \d+(?P<opened><[^>]*>)?")
_ARGUMENT = re.compile(r'(?:AT_FDCWD|\d+)<(?P<directory>[^>]*)>|"(?P<path>(?:[^"\\]|\\.)*)"')
_HERE = re.compile(r"AT_FDCWD<([^>]*)>")
_TO_WRITE = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
_OWN_MAPPING = re.compile(r"/proc/\d+/(uid_map|gid_map|setgroups)")


@dataclass(frozen=True)
class Write:
    """One call that changed a file."""

    call: str
    path: Path


def traced(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> int:
    """Run the command in ``folder`` with all of its processes traced, each into a file of ``log``; its exit code."""
    log.mkdir()
    strace = ("strace", "-ff", "-y", "-z", "--seccomp-bpf", "-s", "4096", "-e", "signal=none", "-o", str(log / "trace"))
    calls = ("-e", f"trace={','.join(f'?{call}' for call in _CALLS)}")
    return subprocess.run([*strace, *calls, *command], cwd=folder, env=environment, check=False).returncode


def writes(log: Path) -> Iterator[Write]:
    """All writes of all processes, but those that change no file.

    These are: opening /dev/null; a process's mapping of its own users; and what is done in a /dev/shm that the same
    process has mounted for itself.
    """
    for trace in sorted(log.iterdir()):
        own_memory = False
        for call, path in _changes(trace.read_text(errors="replace")):
            own_memory |= call == "mount" and path == Path("/dev/shm")
            harmless = call == "mount" or path == Path(os.devnull) or _OWN_MAPPING.fullmatch(str(path))
            if not harmless and not (own_memory and path.is_relative_to("/dev/shm")):
                yield Write(call, path)


def _changes(trace: str) -> Iterator[tuple[str, Path]]:
    """The calls of one process in their order with the places that they change, mounts among them.

    Where the process is, is seen from its own `chdir` and from every call that names it: a program's start has some.
    """
    here = Path("/unknown")
    for line in trace.splitlines():
        called = _CALL.match(line)
        if called is None:
            continue
        if where := _HERE.search(called["arguments"]):
            here = Path(where[1])
        name, arguments = called["name"], list(_ARGUMENT.finditer(called["arguments"]))
        if name in ("chdir", "fchdir"):
            here /= arguments[0]["directory"] or arguments[0]["path"]
        elif name.startswith("open"):
            if _TO_WRITE.search(called["arguments"]):
                yield name, Path((called["opened"] or "<unknown>")[1:-1])
        else:
            yield from ((name, path) for path in _touched(name, arguments, here))


def _touched(name: str, arguments: Sequence[re.Match[str]], here: Path) -> Iterator[Path]:
    """The paths that a call changes, each in the directory that is given before it."""
    directory, paths = here, []
    for argument in arguments:
        if argument["directory"] is not None:
            directory = Path(argument["directory"])
        else:
            paths.append(directory / argument["path"])
    if not paths:  # the descriptor itself is what is changed
        return iter([directory])
    return iter(paths[1:] if name in _SYMLINKS or name == "mount" else paths)
