"""The request: what to time, within which limits, read from one JSON object that is checked key by key."""

from __future__ import annotations

import json
import math
import os
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .statistics import MIN_PAIRS

ARM_NAMES = ("base", "head", "main", "agent", "control")
_LARGEST = 2**62
_MOST_CORES = 4096

Check = Callable[[Any, str], Any]


class BadRequest(Exception):
    """The request can't be followed; the message is one sentence with the key, the value and the remedy."""


class Arm(NamedTuple):
    """One arm: its tree, its interpreter, the test script and what else it may read."""

    name: str
    tree: str
    python: str
    script: str
    readable: Tuple[str, ...]
    environment: Dict[str, str]


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
    fields = _object(value, "the request", _REQUEST)
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


def _object(value: Any, where: str, shape: Dict[str, Check]) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest("%s must be an object, not %s" % (where, _shown(value)))
    for key in value:
        if key not in shape:
            raise BadRequest("%s has the unknown key %s; known are %s" % (where, _shown(key), ", ".join(shape)))
    for key in shape:
        if key not in value:
            raise BadRequest("%s lacks the key %s" % (where, key))
    return {key: check(value[key], "%s: %s" % (where, key)) for key, check in shape.items()}


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _refuse(where: str, expected: str, value: object) -> BadRequest:
    return BadRequest("%s must be %s, not %s" % (where, expected, _shown(value)))


def _text(value: Any, where: str) -> str:
    if isinstance(value, str) and "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value):
        return value
    raise _refuse(where, "text without NUL or lone surrogates", value)


def _path(value: Any, where: str) -> str:
    if os.path.isabs(_text(value, where)):
        return str(value)
    raise _refuse(where, "an absolute path", value)


def _path_or_null(value: Any, where: str) -> Optional[str]:
    return None if value is None else _path(value, where)


def _address(value: Any, where: str) -> Tuple[str, int]:
    """A plain address: a name would have to be asked for, and nobody can be asked where nothing is reached."""
    host, _, port = _text(value, where).rpartition(":")
    if host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return host.strip("[]"), int(port)
    raise _refuse(where, "an address such as 10.0.0.1:443", value)


def _one_of(*choices: object) -> Check:
    def check(value: Any, where: str) -> Any:
        if value in choices and not isinstance(value, bool):
            return value
        raise _refuse(where, " or ".join(map(_shown, choices)), value)

    return check


def _whole(at_least: int, at_most: int = _LARGEST) -> Check:
    def check(value: Any, where: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= at_most:
            return value
        raise _refuse(where, "a whole number from %d to %d" % (at_least, at_most), value)

    return check


def _positive(value: Any, where: str) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 < value <= _LARGEST:
        return float(value)
    raise _refuse(where, "a number above 0", value)


def _list(check: Check, at_least: int, at_most: float = math.inf) -> Check:
    def check_list(value: Any, where: str) -> Tuple[Any, ...]:
        if not isinstance(value, list) or not at_least <= len(value) <= at_most:
            raise _refuse(where, "a list of %s" % _amount(at_least, at_most), value)
        return tuple(check(entry, "%s[%d]" % (where, index)) for index, entry in enumerate(value))

    return check_list


def _amount(at_least: int, at_most: float) -> str:
    return "%d" % at_least if at_least == at_most else "at least %d" % at_least


def _environment(value: Any, where: str) -> Dict[str, str]:
    if not isinstance(value, dict) or any(not key or "=" in key for key in value):
        raise _refuse(where, "an object of variables", value)
    names: List[str] = [_text(key, where) for key in value]
    return {name: _text(value[name], "%s.%s" % (where, name)) for name in names}


def _arm(value: Any, where: str) -> Arm:
    return Arm(**_object(value, where, _ARM))


def _limits(value: Any, where: str) -> Limits:
    return Limits(**_object(value, where, _LIMITS))


_ARM: Dict[str, Check] = {
    "name": _one_of(*ARM_NAMES),
    "tree": _path,
    "python": _path,
    "script": _path,
    "readable": _list(_path, at_least=0),
    "environment": _environment,
}

_LIMITS: Dict[str, Check] = {
    "warmup": _whole(at_least=0),
    "min_pairs": _whole(at_least=MIN_PAIRS),
    "max_pairs": _whole(at_least=MIN_PAIRS),
    "precision": _positive,
    "margin": _positive,
    "item_seconds": _positive,
    "run_seconds": _positive,
    "memory_bytes": _whole(at_least=1),
    "processes": _whole(at_least=1),
    "output_bytes": _whole(at_least=1),
    "scratch_bytes": _whole(at_least=1),
}

_REQUEST: Dict[str, Check] = {
    "version": _one_of(1),
    "seed": _whole(at_least=-_LARGEST),
    "protocol": _one_of("blocks", "single"),
    "arms": _list(_arm, at_least=1),
    "primary": _list(_list(_one_of(*ARM_NAMES), at_least=2, at_most=2), at_least=0),
    "limits": _limits,
    "cores": _list(_whole(at_least=0, at_most=_MOST_CORES), at_least=1),
    "sockets": _one_of("none", "loopback"),
    "network": _one_of("none", "policy", "allowed"),
    "unreachable": _list(_address, at_least=0),
    "scratch": _path,
    "output": _path,
    "termination": _path_or_null,
}
