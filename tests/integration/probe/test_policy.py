"""Behind a network policy: interfaces are up, and what proves the isolation are addresses that do not answer."""

import socket
from contextlib import closing
from dataclasses import replace

import pytest
from probe_bench import SOUND, Bench

HERE = ("env",)
OPENS_A_SOCKET = """
import json, socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM)
except PermissionError:
    print(json.dumps({"avg_ms": 0.001, "result_sha256": "a" * 64}))
else:
    print(json.dumps({"avg_ms": 0.001, "result_sha256": "b" * 64}))
"""
REFUSED, OPENED = "a" * 64, "b" * 64


@pytest.fixture
def here(bench: Bench) -> Bench:
    """The probe in this machine's own network."""
    return replace(bench, launcher=HERE)


@pytest.fixture
def gone() -> str:
    """An address where nobody answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_addresses_that_do_not_answer_are_the_proof(here: Bench, gone: str) -> None:
    ending = here.time(SOUND, network="policy", unreachable=[gone])
    assert (ending.exit_code, ending.arm()["reason"]) == (0, None)
    assert ending.result is not None
    before, after = ending.result["isolation"]["before"], ending.result["isolation"]["after"]
    assert before["connects"] == after["connects"] == {gone: "ECONNREFUSED"}
    assert (before["network"], before["filter"]) == ("policy", "installed")
    assert "lo" in before["interfaces_up"]


def test_one_that_answers_refuses_everything(here: Bench, gone: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        ending = here.time(SOUND, network="policy", unreachable=[gone, address])
    assert ending.exit_code == 3
    assert ending.result is not None
    assert (ending.result["stop"], ending.samples) == ("NetworkNotIsolated", [])
    assert f"{address} is reached" in ending.result["message"]


@pytest.mark.parametrize(("sockets", "seen"), [("none", REFUSED), ("loopback", OPENED)])
def test_a_workload_that_opens_a_socket_is_refused_by_the_filter_unless_that_is_waived(
    here: Bench, gone: str, sockets: str, seen: str
) -> None:
    ending = here.time(OPENS_A_SOCKET, network="policy", unreachable=[gone], sockets=sockets)
    assert ending.arm()["result_sha256"] == seen
    assert ending.result is not None
    assert ending.result["isolation"]["before"]["sockets"] == sockets


def test_without_an_address_to_prove_it_by_a_policy_is_no_request(here: Bench) -> None:
    ending = here.time(SOUND, network="policy")
    assert ending.exit_code == 2
    assert "needs at least one address to prove it by" in ending.stderr
