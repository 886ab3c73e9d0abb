"""What each container asks for and may use: defaults, what the spec says, and whole CPUs for timing."""

import re
from collections.abc import Mapping

from isobench.contracts.base import InvalidInput
from isobench.contracts.spec import CommitBenchmarkSpec, Resources
from isobench.controller.kinds import Object

_WHOLE = re.compile(r"[1-9][0-9]*")
_BESIDE_ONE_RUN_MIB = 512
"""What the probe and the page cache of a timing container need beside the run that is timed."""


def _bounds(cpu: str, memory: str, most_cpu: str, most_memory: str) -> Object:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": most_cpu, "memory": most_memory}}


def _exactly(amounts: Mapping[str, str]) -> Object:
    return {"requests": dict(amounts), "limits": dict(amounts)}


SUPERVISOR = _bounds("100m", "256Mi", "1", "1Gi")
FETCH = _bounds("250m", "512Mi", "1", "4Gi")
BESIDE_TIMING = _exactly({"cpu": "250m", "memory": "512Mi"})
"""Of the worker's containers in a timing pod: limits that equal requests make the whole pod Guaranteed."""

_BUILD = _bounds("500m", "1Gi", "2", "8Gi")


def build(spec: CommitBenchmarkSpec) -> Object:
    """Of the container that builds or that an agent works in."""
    asked = spec.environment.resources or Resources()
    requests, limits = asked.requests or {}, asked.limits or {}
    bounds = {name: most for name, most in _BUILD["limits"].items() if name not in requests}
    return {
        "requests": {**_BUILD["requests"], **limits, **requests},
        "limits": {**bounds, **_devices(asked), **limits},
    }


def timing(spec: CommitBenchmarkSpec) -> Object:
    """Of the container that times: limits that equal requests, whole CPUs, and the build's devices.

    Raises:
        InvalidInput: a part of a CPU is asked for, or fewer than the test is pinned on.
    """
    asked = _amounts(spec.timing.resources)
    bounds = spec.timing
    memory = f"{bounds.memory_mib + bounds.scratch_mib + _BESIDE_ONE_RUN_MIB}Mi"
    cpu = asked.get("cpu", str(bounds.cores))
    if not _WHOLE.fullmatch(cpu) or int(cpu) < bounds.cores:
        problem = f"cpu {cpu!r} gives no CPUs of its own to a test on {bounds.cores}: name a whole number, as large"
        raise InvalidInput("spec.timing.resources", [problem])
    return _exactly({"memory": memory, **_devices(spec.environment.resources), **asked, "cpu": cpu})


def _amounts(resources: Resources | None) -> dict[str, str]:
    return {**(resources.requests or {}), **(resources.limits or {})} if resources else {}


def _devices(resources: Resources | None) -> dict[str, str]:
    """Devices are named `vendor/device`; what an arm was built with it is timed with, and none is shared."""
    return {name: amount for name, amount in _amounts(resources).items() if "/" in name}
