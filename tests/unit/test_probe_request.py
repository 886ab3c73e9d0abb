"""The request: what is read from it, and the sentence with which anything else is refused."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.probe.request import Arm, parse_request
from isobench.probe.shapes import BadRequest

LIMITS: dict[str, Any] = {
    "warmup": 1,
    "min_pairs": 10,
    "max_pairs": 160,
    "precision": 0.01,
    "margin": 0.02,
    "item_seconds": 3600,
    "run_seconds": 300,
    "memory_bytes": 2**30,
    "processes": 512,
    "output_bytes": 2**20,
    "scratch_bytes": 2**30,
}
ARM = {"tree": "/t", "python": "/p/bin/python", "script": "/s.py", "readable": ["/r"], "environment": {"A": "1"}}
REQUEST: dict[str, Any] = {
    "version": 1,
    "seed": 7,
    "protocol": "blocks",
    "arms": [{"name": "base", **ARM}, {"name": "head", **ARM}],
    "primary": [["base", "head"]],
    "limits": LIMITS,
    "cores": [1],
    "sockets": "none",
    "network": "none",
    "unreachable": [],
    "scratch": "/scratch",
    "output": "/output",
    "termination": None,
}


def changed(path: str, value: Any) -> str:
    request = copy.deepcopy(REQUEST)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    target: Any = request
    for key in parents:
        target = target[key]
    target[last] = value
    return json.dumps(request)


def test_a_request_is_read_whole() -> None:
    request = parse_request(json.dumps(REQUEST))
    assert request.arms[0] == Arm("base", "/t", "/p/bin/python", "/s.py", ("/r",), {"A": "1"})
    assert (request.primary, request.cores, request.limits.item_seconds) == ((("base", "head"),), (1,), 3600.0)
    assert request.termination is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2),
        ("version", True),
        ("seed", 1.5),
        ("seed", "7"),
        ("seed", True),
        ("protocol", "double"),
        ("arms", []),
        ("arms", {}),
        ("arms.0.name", "tail"),
        ("arms.0.tree", "relative"),
        ("arms.0.tree", "/nul\0"),
        ("arms.0.tree", "/lone\ud800"),
        ("arms.0.tree", None),
        ("arms.0.readable", "/r"),
        ("arms.0.readable", ["r"]),
        ("arms.0.environment", []),
        ("arms.0.environment", {"A": 1}),
        ("arms.0.environment", {"": "1"}),
        ("arms.0.environment", {"A=B": "1"}),
        ("arms.0.environment", {"A": "\0"}),
        ("arms.0.speed", 1),
        ("primary", [["base"]]),
        ("primary", [["base", "main"]]),
        ("primary", [["base", "base"]]),
        ("primary", []),
        ("limits.warmup", -1),
        ("limits.min_pairs", 7),
        ("limits.min_pairs", 161),
        ("limits.precision", 0),
        ("limits.precision", -0.1),
        ("limits.precision", True),
        ("limits.item_seconds", "1h"),
        ("limits.run_seconds", 10**400),
        ("limits.memory_bytes", 0),
        ("limits.memory_bytes", 2**63),
        ("limits.speed", 1),
        ("cores", []),
        ("cores", [-1]),
        ("cores", [10**6]),
        ("cores", [1.0]),
        ("sockets", "some"),
        ("network", "open"),
        ("scratch", "here"),
        ("termination", ""),
        ("network", "policy"),
        ("unreachable", "10.0.0.1:443"),
        ("unreachable", ["10.0.0.1"]),
        ("unreachable", [":443"]),
        ("unreachable", ["10.0.0.1:0"]),
        ("unreachable", ["10.0.0.1:²"]),
        ("speed", 1),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(path: str, value: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_request(changed(path, value))
    sentence = str(caught.value)
    assert path.split(".")[-1].rstrip("0123456789") in sentence
    assert len(sentence) < 400
    assert "\n" not in sentence


@pytest.mark.parametrize("key", REQUEST)
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(BadRequest, match=key):
        parse_request(json.dumps({name: value for name, value in REQUEST.items() if name != key}))


def test_an_arm_has_its_name_once() -> None:
    with pytest.raises(BadRequest, match="every name once, not base, base"):
        parse_request(changed("arms.1.name", "base"))


def test_a_single_protocol_needs_no_comparison() -> None:
    request = json.loads(changed("protocol", "single"))
    assert parse_request(json.dumps(request | {"primary": []})).primary == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*REQUEST, "x"]), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_read_or_refused_and_never_breaks(value: Any) -> None:
    with pytest.raises(BadRequest):
        parse_request(json.dumps(value))


@given(st.sampled_from([*REQUEST]), json_values)
def test_any_value_of_any_key_is_read_or_refused_in_one_line(key: str, value: Any) -> None:
    assert "\n" not in answer(json.dumps(REQUEST | {key: value}))


def answer(text: str) -> str:
    try:
        return parse_request(text).protocol
    except BadRequest as refused:
        return str(refused)
