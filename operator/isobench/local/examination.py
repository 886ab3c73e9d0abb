"""What `isobench doctor` looks at: each finding says what is there, whether it suffices, and what to do if not."""

import math
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from isobench.adapters.agents.openhands.adapter import OpenHands
from isobench.adapters.isolation.container_engine import REMEDY, find_engine
from isobench.adapters.isolation.sandbox import Isolation, find_isolation
from isobench.adapters.python.interpreters import interpreters
from isobench.probe import landlock, seccomp

OLDEST_GIT = (2, 27)
NOISY = 0.08
WORKLOAD_SECONDS = 0.01


class Grade(StrEnum):
    """How much a finding matters: a run works, works with less, or does not work."""

    GOOD = "good"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    grade: Grade
    found: str
    remedy: str = ""


def examine(keys: Mapping[str, tuple[str, bool]], noise_seconds: float, containers: Path) -> Iterator[Finding]:
    """Look at this machine; ``keys`` says of each key the name of its variable, and whether that is set.

    What a container engine writes while it is tried goes into the folder ``containers``.
    """
    yield _git()
    yield _uv()
    yield _pythons()
    yield _isolation()
    yield _cores()
    yield _noise(noise_seconds)
    yield _containers(containers)
    yield _agents()
    for subject, (variable, present) in keys.items():
        yield _key(subject, variable, present=present)


def _git() -> Finding:
    found = _output("git", "--version")
    if found is None:
        return Finding("git", Grade.MISSING, "not found", "install git 2.27 or later")
    version = tuple(int(part) for part in found.split()[2].split(".")[:2])
    if version < OLDEST_GIT:
        return Finding("git", Grade.MISSING, found, "install git 2.27 or later: partial clones need it")
    return Finding("git", Grade.GOOD, found)


def _uv() -> Finding:
    from uv import find_uv_bin

    found = _output(find_uv_bin(), "--version")
    if found is None:
        return Finding("uv", Grade.MISSING, "does not run", "install isobench again: uv comes with it")
    return Finding("uv", Grade.GOOD, found)


def _pythons() -> Finding:
    versions = ", ".join(sorted({interpreter.version for interpreter in interpreters()}))
    remedy = "projects that need another Python need it installed here"
    return Finding("Python versions", Grade.GOOD, versions, remedy)


def _isolation() -> Finding:
    isolation = find_isolation()
    if isolation is Isolation.NONE:
        remedy = "allow unprivileged user namespaces or install bubblewrap; else only --allow-network times"
        return Finding("network isolation", Grade.MISSING, "no empty network can be made", remedy)
    return Finding("network isolation", Grade.GOOD, f"empty network by {isolation}, and the system call filter")


def _cores() -> Finding:
    count = len(os.sched_getaffinity(0))
    if count < 2:
        remedy = "use a machine with two cores or more: with one the system disturbs every sample"
        return Finding("cores", Grade.LIMITED, f"{count} may be used", remedy)
    return Finding("cores", Grade.GOOD, f"{count} may be used; timing takes the highest")


def _noise(seconds: float) -> Finding:
    spread = robust_spread(list(_workload_times(seconds)))
    found = f"robust spread of paired log ratios {spread:.3f} over {seconds:g} s"
    if spread > NOISY:
        remedy = "stop what else runs here, fix the CPU's frequency, or expect more pairs and `inconclusive`"
        return Finding("noise", Grade.LIMITED, found, remedy)
    return Finding("noise", Grade.GOOD, found)


def robust_spread(times: list[float]) -> float:
    """1.4826 times the median absolute deviation of log ratios of consecutive times: sd if they were normal."""
    ratios = [math.log(first / second) for first, second in zip(times[::2], times[1::2], strict=False)]
    centre = statistics.median(ratios)
    return 1.4826 * statistics.median(abs(ratio - centre) for ratio in ratios)


def _workload_times(seconds: float) -> Iterator[float]:
    rounds = _calibrate()
    end = time.perf_counter() + seconds
    while True:
        yield _work(rounds)
        yield _work(rounds)
        if time.perf_counter() >= end:
            return


def _calibrate() -> int:
    rounds = 1000
    while _work(rounds) < WORKLOAD_SECONDS:
        rounds *= 2
    return rounds


def _work(rounds: int) -> float:
    started = time.perf_counter()
    total = 0
    for number in range(rounds):
        total += number * number % 7
    return time.perf_counter() - started


def _containers(folder: Path) -> Finding:
    engine = find_engine(folder)
    if engine is None:
        return Finding("container engine", Grade.LIMITED, "none works", f"to use --container=on: {REMEDY}")
    return Finding("container engine", Grade.GOOD, _output(engine.name, "--version") or engine.name)


def _agents() -> Finding:
    if not landlock.version() or not seccomp.available():
        remedy = "to let agents attempt items: use Linux 5.13 or later, with Landlock and seccomp filters"
        return Finding("agents", Grade.LIMITED, "this kernel can't confine one", remedy)
    openhands = OpenHands()
    if why := openhands.missing():
        return Finding("agents", Grade.LIMITED, "command and replay", f"to use openhands too: {why}")
    return Finding("agents", Grade.GOOD, f"openhands by {openhands.python}, command, replay")


def _key(subject: str, variable: str, *, present: bool) -> Finding:
    if present:
        return Finding(subject, Grade.GOOD, f"{variable} is set")
    return Finding(subject, Grade.LIMITED, f"{variable} is not set", f"set {variable}, or put it into config/.env")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""
