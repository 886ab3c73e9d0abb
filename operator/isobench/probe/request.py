"""The request: what to time, within which limits; one JSON object."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

from . import shapes
from .shapes import BadRequest, Check
from .statistics import MIN_PAIRS

ARM_NAMES = ("base", "head", "main", "agent", "control")
_MOST_CORES = 4096


class Arm(NamedTuple):
    """One arm: its tree, its interpreter, the test script and what else it may read."""

    name: str
    tree: str
    python: str
    script: str
    readable: Tuple[str, ...]
    environment: Dict[str, str]

    @property
    def files(self) -> Tuple[str, ...]:
        """What a run of it reads."""
        return (self.tree, self.script, *self.readable)


class Limits(NamedTuple):
    """Bounds of the protocol (blocks, fractions, seconds) and of one run (seconds, bytes, processes)."""

    warmup: int
    min_pairs: int
    max_pairs: int
    precision: float
    margin: float
    item_seconds: float
    run_seconds: float
    memory_bytes: int
    processes: int
    output_bytes: int
    scratch_bytes: int


class Request(NamedTuple):
    """Everything that the probe is asked to do."""

    seed: int
    protocol: str
    arms: Tuple[Arm, ...]
    primary: Tuple[Tuple[str, str], ...]
    limits: Limits
    cores: Tuple[int, ...]
    sockets: str
    network: str
    unreachable: Tuple[Tuple[str, int], ...]
    scratch: str
    output: str
    termination: Optional[str]


def parse_request(text: str) -> Request:
    """Read a request; raises BadRequest."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the request is not JSON (%s): write one object" % error) from None
    fields = shapes.keyed(value, "the request", _REQUEST)
    del fields["version"]
    request = Request(**fields)
    _check_whole(request)
    return request


def check_paths(request: Request) -> None:
    """Raise BadRequest for the first path of the request that is not there or not usable."""
    for arm in request.arms:
        for key, path, usable in (
            ("tree", arm.tree, os.path.isdir(arm.tree)),
            ("python", arm.python, os.path.isfile(arm.python) and os.access(arm.python, os.X_OK)),
            ("script", arm.script, os.path.isfile(arm.script)),
            *(("readable", path, os.path.exists(path)) for path in arm.readable),
        ):
            if not usable:
                raise BadRequest("%s of arm %s is not there or not usable: %s" % (key, arm.name, path))
    for key, path in (("scratch", request.scratch), ("output", request.output)):
        if not (os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)):
            raise BadRequest("%s must be a writable directory: %s" % (key, path))
    usable_cores = _usable_cores(request.cores)
    if usable_cores != set(request.cores):
        raise BadRequest("cores %s: this machine lends only %s" % (list(request.cores), sorted(usable_cores)))


def _usable_cores(cores: Tuple[int, ...]) -> "set[int]":
    """Which of `cores` the kernel lets this process use, whatever its present mask is."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
        return os.sched_getaffinity(0)
    except OSError:
        return before
    finally:
        os.sched_setaffinity(0, before)


def _check_whole(request: Request) -> None:
    names = [arm.name for arm in request.arms]
    if len(set(names)) != len(names):
        raise BadRequest("arms: every name once, not %s" % ", ".join(names))
    for pair in request.primary:
        if pair[0] == pair[1] or not set(pair) <= set(names):
            raise BadRequest("primary: %s:%s does not name two arms of %s" % (*pair, ", ".join(names)))
    if request.protocol == "blocks" and not request.primary:
        raise BadRequest('primary: protocol "blocks" needs at least one pair such as ["base", "head"]')
    for path in _used_paths(request):
        if (path + "/").startswith(request.scratch.rstrip("/") + "/"):
            raise BadRequest("scratch (%s) must not hold %s: runs would hide or fill it" % (request.scratch, path))
    if request.network == "policy" and not request.unreachable:
        raise BadRequest('unreachable: network "policy" needs at least one address to prove it by')
    if request.limits.min_pairs > request.limits.max_pairs:
        raise BadRequest("limits.min_pairs must not be above limits.max_pairs (%d)" % request.limits.max_pairs)


def _used_paths(request: Request) -> Iterator[str]:
    for arm in request.arms:
        yield from (arm.tree, arm.python, arm.script, *arm.readable)
    yield from (path for path in (request.output, request.termination) if path is not None)


def _arm(value: Any, where: str) -> Arm:
    return Arm(**shapes.keyed(value, where, _ARM))


def _limits(value: Any, where: str) -> Limits:
    return Limits(**shapes.keyed(value, where, _LIMITS))


_ARM: Dict[str, Check] = {
    "name": shapes.one_of(*ARM_NAMES),
    "tree": shapes.path,
    "python": shapes.path,
    "script": shapes.path,
    "readable": shapes.list_of(shapes.path, at_least=0),
    "environment": shapes.variables,
}

_LIMITS: Dict[str, Check] = {
    "warmup": shapes.whole(at_least=0),
    "min_pairs": shapes.whole(at_least=MIN_PAIRS),
    "max_pairs": shapes.whole(at_least=MIN_PAIRS),
    "precision": shapes.positive,
    "margin": shapes.positive,
    "item_seconds": shapes.positive,
    "run_seconds": shapes.positive,
    "memory_bytes": shapes.whole(at_least=1),
    "processes": shapes.whole(at_least=1),
    "output_bytes": shapes.whole(at_least=1),
    "scratch_bytes": shapes.whole(at_least=1),
}

_REQUEST: Dict[str, Check] = {
    "version": shapes.one_of(1),
    "seed": shapes.whole(at_least=-shapes.LARGEST),
    "protocol": shapes.one_of("blocks", "single"),
    "arms": shapes.list_of(_arm, at_least=1),
    "primary": shapes.list_of(shapes.list_of(shapes.one_of(*ARM_NAMES), at_least=2, at_most=2), at_least=0),
    "limits": _limits,
    "cores": shapes.list_of(shapes.whole(at_least=0, at_most=_MOST_CORES), at_least=1),
    "sockets": shapes.one_of("none", "loopback"),
    "network": shapes.one_of("none", "policy", "allowed"),
    "unreachable": shapes.list_of(shapes.address, at_least=0),
    "scratch": shapes.path,
    "output": shapes.path,
    "termination": shapes.path_or_null,
}
