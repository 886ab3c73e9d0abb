"""Child program of measurement.py: times one stream with isobench's own probe, a JSON line per block, cycle or trial.

Its only argument is a `Task` as JSON. The probe kills every descendant of its process after each run, so it has to be
a process of its own. Lines are appended to the task's output; what is there already is not timed again.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from protocols import MARGIN, MIN_PAIRS, PRECISION

from isobench.contracts.record import Arm as ArmName
from isobench.engine.samples import TimedSample
from isobench.engine.verdict import judge
from isobench.probe import kernel, landlock, seccomp
from isobench.probe.blocks import Sample, Schedule, Timed, draw_block, time_blocks
from isobench.probe.confinement import Bounds, Confinement, Reach
from isobench.probe.counters import INSTRUCTIONS, available
from isobench.probe.failure import ArmFailure
from isobench.probe.processes import Offspring
from isobench.probe.request import Arm, Limits
from isobench.probe.run import ArmRunner
from isobench.probe.scratch import Scratch

MIB: Final = 2**20

Line = dict[str, Any]


class Task(NamedTuple):
    """One stream: which of the prepared arms, how many lines, on which core, and where to keep them."""

    kind: str
    """interleaved (a line per block), sequential (per cycle of groups of `repeats` runs) or live (per trial)."""
    arms: list[str]
    repeats: int
    """Runs in a row of each arm of a sequential stream."""
    lines: int
    core: int
    max_pairs: int
    seed: int
    places: dict[str, dict[str, str]]
    """Per arm its tree, interpreter and environment."""
    scratch: str
    output: str


def interleaved(task: Task, run: Callable[[str, int], Timed], line: int) -> Line:
    """One block: every arm once, in the order and with the hash seed that isobench draws."""
    order, hash_seed = draw_block(task.seed, line, task.arms)
    timed = {arm: run(arm, hash_seed) for arm in order}
    return {
        "printed_ms": {arm: timed[arm].measurement.printed_ms for arm in task.arms},
        "wall_ms": {arm: timed[arm].wall_ms for arm in task.arms},
    }


def sequential(task: Task, run: Callable[[str, int], Timed], line: int) -> Line:
    """One cycle: each arm `repeats` times in a row, as protocols without interleaving do."""
    groups = [[run(arm, line + 1).measurement.printed_ms for _ in range(task.repeats)] for arm in task.arms]
    return {"groups": groups}


def live(task: Task, run: Callable[[str, int], Timed], line: int) -> Line:
    """One whole measurement by isobench: `task.arms` stand for base, head and control."""
    roles = dict(zip(("base", "head", "control"), task.arms, strict=True))
    schedule = Schedule(
        seed=task.seed + line,
        arms=tuple(roles),
        primary=(("base", "head"),),
        warmup=1,
        min_pairs=MIN_PAIRS,
        max_pairs=task.max_pairs,
        precision=PRECISION,
        margin=MARGIN,
        item_seconds=3600.0,
    )
    outcome = time_blocks(schedule, lambda role, seed: run(roles[role], seed), time.monotonic, lambda block, look: None)
    judgement = judge([_judged(sample) for sample in outcome.samples if sample.block >= 0], MARGIN)
    failures = [f"{missing.reason}: {missing.message}" for missing in judgement.unmeasured]
    failures += [f"{failure.reason}: {failure.message}" for failure in outcome.failures.values()]
    if failures:
        raise SystemExit(f"a live measurement of {', '.join(task.arms)} gave no verdict: {'; '.join(failures)}")
    return judgement.comparisons[0].model_dump(mode="json") | {"runs": len(outcome.samples), "stop": outcome.stop}


KINDS: Final = {"interleaved": interleaved, "sequential": sequential, "live": live}


def whole_lines(path: Path) -> list[Line]:
    """The lines that were written to the end; what a killed worker left of a last one is cut off."""
    if not path.exists():
        return []
    written = path.read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    if whole != written:
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def probe_runs(task: Task) -> Callable[[str, int], Timed]:
    """A function that runs an arm once with a hash seed, exactly as the probe does within a measurement."""
    limits = Limits(
        warmup=1,
        min_pairs=MIN_PAIRS,
        max_pairs=task.max_pairs,
        precision=PRECISION,
        margin=MARGIN,
        item_seconds=3600.0,
        run_seconds=60.0,
        memory_bytes=1024 * MIB,
        processes=64,
        output_bytes=MIB,
        scratch_bytes=64 * MIB,
    )
    kernel.adopt_orphans()
    _leave(task.core)
    scratch, offspring = Scratch(task.scratch), Offspring()
    event = INSTRUCTIONS if available(INSTRUCTIONS) else None

    def runner(arm: Arm) -> ArmRunner:
        reach = Reach(arm.python, arm.files, scratch.writable())
        bounds = Bounds((task.core,), limits.memory_bytes, limits.scratch_bytes)
        confinement = Confinement(reach, bounds, landlock.version(), seccomp.Filter(False))
        return ArmRunner(arm, confinement, limits, scratch, offspring, event)

    runners = {arm.name: runner(arm) for arm in _arms(task)}
    zero = time.monotonic()
    return lambda arm, hash_seed: runners[arm].run(hash_seed, zero)


def _leave(core: int) -> None:
    """Move this process off the core that is timed, as the probe does."""
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {core})


def _arms(task: Task) -> Iterator[Arm]:
    for name in dict.fromkeys(task.arms):
        place = task.places[name]
        yield Arm(
            name=name,
            tree=place["tree"],
            python=place["python"],
            script=place["script"],
            readable=(place["environment"],),
            environment={},
        )


def _judged(sample: Sample) -> TimedSample:
    measurement, timed = sample.timed.measurement, sample.timed
    return TimedSample(
        block=sample.block,
        arm=cast(ArmName, sample.arm),
        printed_ms=measurement.printed_ms,
        digit_ms=measurement.digit_ms,
        iterations=measurement.iterations,
        wall_ms=timed.wall_ms,
        cpu_ms=timed.cpu_ms,
        result_sha256=measurement.result_sha256,
    )


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    run = probe_runs(task)
    done = len(whole_lines(Path(task.output)))
    with Path(task.output).open("a") as output:
        for line in range(done, task.lines):
            try:
                timed = KINDS[task.kind](task, run, line)
            except ArmFailure as failure:
                raise SystemExit(f"{failure.reason}: {failure.message}") from None
            output.write(json.dumps(timed) + "\n")
            output.flush()


if __name__ == "__main__":
    main()
