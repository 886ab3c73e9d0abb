"""What the probe is asked to do for an item: arms, limits, order; everything but the places that its runner chooses."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from isobench.contracts.base import InvalidInput
from isobench.contracts.prepared import Prepared, PreparedArm
from isobench.contracts.spec import TimingSpec
from isobench.engine.verdict import PRIMARY
from isobench.engine.workspace import Workspace

MIB = 2**20
PROCESSES = 512
OUTPUT_BYTES = MIB


def probe_request(
    timing: TimingSpec, prepared: Prepared, workspace: Workspace, cores: Sequence[int], identity: str
) -> dict[str, Any]:
    """The request for all ready arms; without a seed of its own the item's ``identity`` gives one."""
    ready = [arm for arm in prepared.arms if arm.ready]
    names = {arm.name for arm in ready}
    return {
        "version": 1,
        "seed": timing.seed if timing.seed is not None else seed_of(identity),
        "protocol": timing.protocol,
        "arms": [_arm(arm, workspace) for arm in ready],
        "primary": [list(pair) for pair in PRIMARY if names.issuperset(pair)],
        "limits": {
            "warmup": timing.warmup,
            "min_pairs": timing.min_pairs,
            "max_pairs": timing.max_pairs,
            "precision": timing.precision,
            "margin": timing.margin,
            "item_seconds": timing.timeout_seconds,
            "run_seconds": timing.run_timeout_seconds,
            "memory_bytes": timing.memory_mib * MIB,
            "processes": PROCESSES,
            "output_bytes": OUTPUT_BYTES,
            "scratch_bytes": timing.scratch_mib * MIB,
        },
        "cores": list(cores),
        "sockets": timing.sockets,
    }


def highest_cores(count: int, allowed: Iterable[int]) -> Sequence[int]:
    """The highest ``count`` of the CPUs that may be used: the lowest serve most interrupts.

    Raises:
        InvalidInput: there are not so many.
    """
    cores = sorted(allowed)
    if count > len(cores):
        raise InvalidInput("timing.cores", [f"{count} cores are asked for and {len(cores)} may be used here"])
    return cores[-count:]


def seed_of(identity: str) -> int:
    """A seed that follows from a name: the same order for the same item of the same run."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:6], "big")


def _arm(arm: PreparedArm, workspace: Workspace) -> dict[str, Any]:
    return {
        "name": arm.name,
        "tree": arm.tree,
        "python": arm.python,
        "script": str(workspace.script(arm.name)),
        "readable": [arm.environment],
        "environment": {"VIRTUAL_ENV": arm.environment},
    }
