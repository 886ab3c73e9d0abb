"""The Pythons of this machine, found by running them: a shim or a broken link that refuses to run is not one."""

import functools
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 8)
"""The probe runs on nothing older."""

_NAME = re.compile(r"python(3(\.\d+)?)?")
_SYSTEM_FOLDERS = (Path("/usr/local/bin"), Path("/usr/bin"))
_ANSWER_SECONDS = 10.0

# A virtual environment's Python answers with the one that it was made from.
WHO_ARE_YOU = """
import os, platform, sys
final = sys.version_info.releaselevel == "final" and not sys.abiflags
if platform.python_implementation() == "CPython" and final:
    print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    print("%d.%d.%d" % sys.version_info[:3])
"""
"""Code that a Python answers with two lines, for `read_answer`."""

EVERY_PYTHON = """
IFS=:
for folder in $PATH /usr/local/bin /usr/bin; do
    for python in "$folder"/python3 "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9]; do
        [ -x "$python" ] && "$python" -I -S -c "$0"
    done
done
true
"""
"""A shell script that lets every Python on PATH, and of the system, answer the code that is its `$0`."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A released CPython of the usual build, outside any virtual environment."""

    executable: Path
    version: str


@functools.cache
def interpreters() -> tuple[Interpreter, ...]:
    """The Pythons from `OLDEST` on that PATH, pyenv and the system offer, one per version; sought once a process."""
    return tuple(find_interpreters(os.environ))


def find_interpreters(environment: Mapping[str, str]) -> list[Interpreter]:
    """The same for the PATH, PYENV_ROOT and HOME of ``environment``, newest first."""
    candidates = {candidate.resolve(): None for candidate in _candidates(environment)}
    with ThreadPoolExecutor() as pool:
        found = [interpreter for interpreter in pool.map(_ask, candidates) if interpreter]
    return newest_of_each(found)


def newest_of_each(found: Iterable[Interpreter]) -> list[Interpreter]:
    """One interpreter of each version, the first that was found; newest first."""
    by_version: dict[str, Interpreter] = {}
    for interpreter in found:
        by_version.setdefault(interpreter.version, interpreter)
    return sorted(by_version.values(), key=lambda interpreter: _numbers(interpreter.version), reverse=True)


def answers_in(lines: Sequence[str]) -> list[Interpreter]:
    """Those that answered `WHO_ARE_YOU` one after the other, one of each version, newest first."""
    answers = (read_answer(lines[start : start + 2]) for start in range(0, len(lines), 2))
    return newest_of_each(interpreter for interpreter in answers if interpreter)


def read_answer(lines: Sequence[str]) -> Interpreter | None:
    """The interpreter that answered `WHO_ARE_YOU` with these lines; None where it is not one that isobench can use."""
    if len(lines) != 2 or _numbers(lines[1]) < OLDEST:
        return None
    return Interpreter(Path(lines[0]), lines[1])


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    pyenv = Path(environment.get("PYENV_ROOT") or Path(environment.get("HOME", "/"), ".pyenv"))
    on_path = [Path(folder) for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    # pyenv's shims take half a second each to say what its version folders say at once.
    folders = [*sorted(pyenv.glob("versions/*/bin")), *on_path, *_SYSTEM_FOLDERS]
    for folder in folders:
        if folder.is_dir() and not folder.is_relative_to(pyenv / "shims"):
            yield from (path for path in sorted(folder.iterdir()) if _is_python(path))


def _is_python(path: Path) -> bool:
    return _NAME.fullmatch(path.name) is not None and os.access(path, os.X_OK)


def _ask(candidate: Path) -> Interpreter | None:
    try:
        answer = subprocess.run(
            [candidate, "-I", "-S", "-c", WHO_ARE_YOU],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return read_answer(answer)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
