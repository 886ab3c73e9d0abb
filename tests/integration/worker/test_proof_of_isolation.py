"""The proof that a pod has no network: waited for, refused, and looked at again by the probe."""

import socket
import threading
from contextlib import closing, contextmanager

import pytest

from building.items import prepared
from building.pods import strict
from isobench.adapters.files import write_model
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.status import StageName
from isobench.worker.network import (
    ROUNDS,
    address_of,
    answers_questions,
    is_reached,
    name_servers,
    prove_isolation,
    wait_for,
)

pytestmark = pytest.mark.slow

NO_NAME = "x" * 64
"""No name server is asked for it: it has too many letters."""


@contextmanager
def listening():
    """Somebody who answers, and the address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server, f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed():
    """An address where nobody answers."""
    with listening() as (_, address):
        pass
    return address


def test_who_listens_is_reached_and_who_is_gone_is_not(closed):
    with listening() as (_, address):
        assert is_reached(address)
    assert not is_reached(closed)


def test_a_name_server_is_asked_by_datagram_and_by_connection(closed):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.bind(("127.0.0.1", 0))
        answerer = threading.Thread(target=lambda: server.sendto(b"no", server.recvfrom(512)[1]))
        answerer.start()
        assert answers_questions(f"127.0.0.1:{server.getsockname()[1]}", seconds=60.0)
        answerer.join()
    with listening() as (_, address):
        assert answers_questions(address)
    assert not answers_questions(closed)


def test_name_servers_are_those_of_the_pod(tmp_path):
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("search a b\nnameserver 10.0.0.10\n# nameserver 10.0.0.11\nnameserver fd00::a\n")
    assert name_servers(configuration) == ["10.0.0.10:53", "[fd00::a]:53"]
    assert name_servers(tmp_path / "none") == []


def test_a_name_is_resolved_to_a_plain_address_where_it_says_anything():
    assert address_of("127.0.0.1:80") == "127.0.0.1:80"
    assert address_of("[::1]:80") == "[::1]:80"
    assert address_of(f"{NO_NAME}:80") is None


def after(attempts: int):
    """An address that stops to answer after so many attempts."""
    answers = iter([True] * attempts)
    return lambda address: next(answers, False)


def test_enforced_at_once_takes_a_few_attempts_in_a_row():
    proof = prove_isolation({"canary": "c:1", "DNS": "d:53"}, {"canary": after(0), "DNS": after(0)}, seconds=60)
    assert (proof.rounds, proof.reached_at_first) == (ROUNDS, [])
    assert proof.sentence.startswith("canary (c:1), DNS (d:53): unreachable 5 times in a row after ")


def test_enforced_late_is_waited_for_and_said():
    proof = prove_isolation({"canary": "c:1", "DNS": "d:53"}, {"canary": after(7), "DNS": after(0)}, seconds=60)
    assert proof.reached_at_first == ["canary"]
    assert proof.sentence.endswith("; canary could be reached at first")


def test_an_attempt_that_gets_through_begins_the_count_anew():
    answers = iter([False] * (ROUNDS - 1) + [True])
    tried = []

    def flaps(address):
        tried.append(address)
        return next(answers, False)

    prove_isolation({"canary": "c:1"}, {"canary": flaps}, seconds=60)
    assert len(tried) == 2 * ROUNDS


def test_a_row_that_has_begun_in_time_is_brought_to_its_end():
    assert prove_isolation({"canary": "c:1"}, {"canary": after(0)}, seconds=0.0001).rounds == ROUNDS


def test_never_enforced_is_refused():
    with pytest.raises(ItemFailure) as failure:
        prove_isolation({"canary": "c:1", "DNS": "d:53"}, {"canary": lambda _: True, "DNS": after(0)}, seconds=0.1)
    assert failure.value.reason is Reason.NETWORK_NOT_ISOLATED
    assert failure.value.message.startswith("canary (c:1) can be reached from a timing pod 0 s after its start")


def isolated(pods, **changes):
    return pods.run("isolate", pods.pod(StageName.TIMING, **changes))


def test_the_pod_waits_and_leaves_what_was_tried(pods, closed):
    pods.cut_off()
    request = pods.pod(StageName.TIMING, api_server=closed)
    ended = pods.run("isolate", request)
    assert ended.code == 0, ended.log
    assert strict(request.places.exchange / "isolation.json")["tried"] == {
        "canary": pods.canary_address,
        "API server": closed,
    }


def test_a_pod_that_reaches_the_canary_times_nothing(pods):
    ended = isolated(pods, isolation_seconds=0.1)
    result = ended.result(StageName.TIMING)
    assert (ended.code, result.reason) == (1, Reason.NETWORK_NOT_ISOLATED)
    assert f"canary ({pods.canary_address}) can be reached" in result.message


@pytest.mark.parametrize(
    ("canary", "why"), [("canary.example:80", "the canary canary.example:80 was not reached"), (None, "there is no")]
)
def test_a_canary_that_was_never_reached_proves_nothing(pods, canary, why):
    write_model(pods.item / "prepared.json", prepared())
    result = isolated(pods, canary=canary).result(StageName.TIMING)
    assert result.reason is Reason.NETWORK_NOT_ISOLATED
    assert result.message.startswith(why)


def test_a_name_that_can_not_be_resolved_proves_nothing(pods):
    result = isolated(pods, api_server=f"{NO_NAME}:443").result(StageName.TIMING)
    assert result.reason is Reason.NETWORK_NOT_ISOLATED
    assert "give its plain address" in result.message


def test_a_canary_that_still_starts_is_waited_for():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert wait_for(address, 0) is None
        begin = threading.Timer(0.3, server.listen)
        begin.start()
        assert wait_for(address, 60) == address
        begin.join()
