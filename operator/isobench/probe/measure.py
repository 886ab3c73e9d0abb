"""The probe's work from request to result: take the process over, prove the isolation, time, and prove it again."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from typing import Any, Dict, List, Optional, Tuple

from . import landlock, seccomp
from .blocks import Look, Outcome, Schedule, Timed, time_blocks, time_once
from .confinement import Bounds, Confinement, Reach
from .counters import INSTRUCTIONS, available
from .failure import ArmFailure
from .isolation import Isolation, find_leaks, observe_isolation, raise_loopback
from .launch import take_over
from .machine import describe_machine
from .mounts import mount_memory
from .processes import Offspring
from .request import Arm, Request
from .result import outcome_fields, progress_line
from .run import ArmRunner
from .scratch import SHARED_MEMORY, Scratch
from .trees import tree_fingerprint


def measure(request: Request) -> Dict[str, Any]:
    """Follow `request` and return the result, ready for JSON.

    Once in a process, because it takes over the process's children, signals and cores.
    """
    machine = describe_machine(request.cores[0])
    return {
        "version": 1,
        "seed": request.seed,
        "cores": list(request.cores),
        "python": platform.python_version(),
        "machine": machine,
        **_Measuring(request).result(),
    }


_NOTHING_TIMED = Outcome("", "", [], [], {}, {})


class _Measuring:
    def __init__(self, request: Request) -> None:
        take_over()
        _leave_cores(request)
        if request.sockets == "loopback":
            raise_loopback()
        self._request = request
        self._offspring = Offspring()
        self._has_own_container = _has_own_container(request)
        in_memory = mount_memory((request.scratch, SHARED_MEMORY), request.limits.scratch_bytes)
        self._scratch = Scratch(request.scratch, self._has_own_container, in_memory)
        self._landlock_abi = landlock.version()
        self._filter = seccomp.Filter(request.sockets == "loopback") if seccomp.available() else None
        self._confinements = {arm.name: self._confine(arm) for arm in request.arms}
        event = INSTRUCTIONS if available(INSTRUCTIONS) else None
        self._runners = {
            arm.name: ArmRunner(
                arm, self._confinements[arm.name], request.limits, self._scratch, self._offspring, event
            )
            for arm in request.arms
        }

    def result(self) -> Dict[str, Any]:
        before = self._observe()
        leaks = self._leaks(before)
        if leaks:
            outcome, after = _not_isolated(_NOTHING_TIMED, leaks), None
        else:
            outcome = self._time_unchanged_trees()
            after = self._observe()
            leaks = self._leaks(after)
            outcome = _not_isolated(outcome, leaks) if leaks else outcome
        return {
            "isolation": {"before": self._facts(before), "after": after and self._facts(after)},
            **outcome_fields(outcome),
            "arms": {name: self._arm_fields(name, outcome.failures.get(name)) for name in self._runners},
        }

    def _confine(self, arm: Arm) -> Confinement:
        limits = self._request.limits
        reach = Reach(arm.python, arm.files, self._scratch.writable())
        bounds = Bounds(self._request.cores, limits.memory_bytes, limits.scratch_bytes)
        return Confinement(reach, bounds, self._landlock_abi, self._filter)

    def _observe(self) -> Isolation:
        self._scratch.create()
        try:
            confinement = self._confinements[self._request.arms[0].name]
            return observe_isolation(confinement, self._offspring, self._request)
        finally:
            self._scratch.remove()

    def _leaks(self, isolation: Isolation) -> List[str]:
        return [] if self._request.network == "allowed" else find_leaks(isolation, self._request)

    def _time_unchanged_trees(self) -> Outcome:
        """Time, and let an arm fail whose tree is not what it was: through it answers could pass between runs."""
        before = {arm.name: tree_fingerprint(arm.tree) for arm in self._request.arms}
        outcome = self._time()
        changed = [arm for arm in self._request.arms if tree_fingerprint(arm.tree) != before[arm.name]]
        return _fail_changed(outcome, changed, self._request.primary) if changed else outcome

    def _time(self) -> Outcome:
        limits, zero = self._request.limits, time.monotonic()

        def run_arm(name: str, hash_seed: int) -> Timed:
            return self._runners[name].run(hash_seed, zero)

        schedule = Schedule(
            self._request.seed,
            tuple(self._runners),
            self._request.primary,
            limits.warmup,
            limits.min_pairs,
            limits.max_pairs,
            limits.precision,
            limits.margin,
            limits.item_seconds,
        )
        if self._request.protocol == "single":
            return time_once(schedule, run_arm)
        return time_blocks(schedule, run_arm, time.monotonic, _report)

    def _facts(self, isolation: Isolation) -> Dict[str, Any]:
        return {
            **isolation._asdict(),
            "filter": "installed" if self._filter else "unavailable",
            "sockets": self._request.sockets,
            "network": self._request.network,
            "filesystem": "landlock-%d" % self._landlock_abi if self._landlock_abi else "fingerprint",
            "pid_namespace": self._has_own_container,
            "scratch": "memory" if self._scratch.in_memory else "disk",
            "shared_memory": "private" if self._scratch.owns_shared_memory else "not writable",
        }

    def _arm_fields(self, name: str, failure: Optional[ArmFailure]) -> Dict[str, Any]:
        runner = self._runners[name]
        return {
            "reason": failure and failure.reason,
            "message": failure.message if failure else "",
            "exit_code": runner.exit_code,
            "output_tail": runner.output_tail,
            "result_sha256": runner.result_sha256,
        }


def _has_own_container(request: Request) -> bool:
    """Whether no process is visible here but the probe and what it starts: it, or in a pod its runner, is PID 1."""
    return os.getpid() == 1 or (request.network == "policy" and os.getppid() == 1)


def _leave_cores(request: Request) -> None:
    """Move the probe itself off the cores that are timed, if there are others."""
    others = os.sched_getaffinity(0) - set(request.cores)
    if others:
        os.sched_setaffinity(0, others)


def _report(block: int, look: Look) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more; the result counts
        os.write(1, progress_line(block, look).encode())


def _not_isolated(outcome: Outcome, leaks: List[str]) -> Outcome:
    remedy = "start the probe in an empty network namespace or behind a policy, or set network to allowed"
    message = "runs are not cut off from the network (%s): %s" % ("; ".join(leaks), remedy)
    return outcome._replace(stop="NetworkNotIsolated", message=message)


def _fail_changed(outcome: Outcome, changed: List[Arm], primary: Tuple[Tuple[str, str], ...]) -> Outcome:
    message = "files in %s changed while it was timed: make the test write to its working directory only"
    found = {arm.name: ArmFailure("TreeChanged", message % arm.tree) for arm in changed}
    failures = {**found, **outcome.failures}
    if primary and all(failures.keys() & set(pair) for pair in primary):
        outcome = outcome._replace(stop="ArmFailed", message="no primary comparison is left since trees changed")
    return outcome._replace(failures=failures)
