"""Measures what the probe adds to one run: a whole sample against a bare fork, exec and wait of the same command.

    python scripts/bench/probe_overhead.py [--pairs 200] [--core 1]

Interleaved pairs in one process that is PID 1 of empty namespaces, as the probe is. A sample is all that the probe
does for it: fresh directories, confinement, fork, exec, output, wait, and clearing away. Prints one table and, as its
last line, the numbers as JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from pairing import Act, time_pairs, what_is_added

from isobench.adapters.isolation import machine_lock
from isobench.adapters.isolation.sandbox import open_sandbox
from isobench.probe import landlock
from isobench.probe.confinement import Bounds, Confinement, Reach
from isobench.probe.mounts import mount_memory
from isobench.probe.processes import Offspring
from isobench.probe.request import Arm, Limits
from isobench.probe.run import ArmRunner
from isobench.probe.scratch import SHARED_MEMORY, Scratch
from isobench.probe.seccomp import Filter

AIM_MS: Final = 3.0
MIB: Final = 2**20
LIMITS: Final = Limits(
    warmup=1,
    min_pairs=10,
    max_pairs=160,
    precision=0.01,
    margin=0.02,
    item_seconds=3600,
    run_seconds=60,
    memory_bytes=1024 * MIB,
    processes=64,
    output_bytes=MIB,
    scratch_bytes=64 * MIB,
)
COMMANDS: Final = {
    "sh": ("/bin/sh", "echo Execution time: 0.0s"),
    "python": (sys.executable, "print('Execution time: 0.0s')"),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure the probe's overhead a sample.")
    arguments.add_argument("--pairs", type=int, default=200)
    arguments.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    arguments.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.inside is not None:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {chosen.core} or {chosen.core})  # as the probe does
        scratch = chosen.inside / "scratch"
        scratch.mkdir()
        mount_memory((str(scratch), SHARED_MEMORY), LIMITS.scratch_bytes)
        report({name: compare(name, chosen.inside, chosen.core, chosen.pairs) for name in COMMANDS})
        return
    with machine_lock.timing(), tempfile.TemporaryDirectory() as folder:
        again = [sys.executable, __file__, "--pairs", str(chosen.pairs), "--core", str(chosen.core), "--inside", folder]
        subprocess.run(open_sandbox(allow_network=False).wrap(again, scratch_mib=64), check=True)


def compare(name: str, folder: Path, core: int, pairs: int) -> dict[str, float]:
    """Milliseconds of both ways, as medians, and of their difference, as median and 95th percentile."""
    executable, content = COMMANDS[name]
    script = folder / name
    script.write_text(content)
    arm = Arm("base", str(folder), executable, str(script), (), {})
    probe, bare = probe_sample(arm, str(folder / "scratch"), core), bare_run([executable, str(script)], core)
    return {**what_is_added(time_pairs(bare, probe, pairs)), "pairs": pairs}


def probe_sample(arm: Arm, folder: str, core: int) -> Act:
    """A whole sample as the probe takes it."""
    scratch = Scratch(folder, in_memory=True)
    reach = Reach(arm.python, arm.files, scratch.writable())
    bounds = Bounds((core,), LIMITS.memory_bytes, LIMITS.scratch_bytes)
    confinement = Confinement(reach, bounds, landlock.version(), Filter(False))
    runner = ArmRunner(arm, confinement, LIMITS, scratch, Offspring(), None)
    return lambda: runner.run(1, 0.0)


def bare_run(command: list[str], core: int) -> Act:
    """The least that a run can cost: fork, exec on the same core, wait."""
    silence = os.open(os.devnull, os.O_WRONLY)

    def run() -> None:
        pid = os.fork()
        if pid == 0:
            os.sched_setaffinity(0, {core})
            os.dup2(silence, 1)
            os.execv(command[0], command)
        os.wait4(pid, 0)

    return run


def report(measured: dict[str, dict[str, float]]) -> None:
    """Print the table and the JSON line."""
    print(f"{'command':8} {'bare ms':>8} {'probe ms':>9} {'added ms':>9} {'added p95':>10}   aim: <= {AIM_MS:g} ms")
    for name, row in measured.items():
        columns = (row["without_ms"], row["with_ms"], row["added_ms"], row["added_p95_ms"])
        print(f"{name:8} {columns[0]:8.2f} {columns[1]:9.2f} {columns[2]:9.2f} {columns[3]:10.2f}")
    print(json.dumps({"aim_ms": AIM_MS, **measured}))


if __name__ == "__main__":
    main()
