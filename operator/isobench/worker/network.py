"""Whether addresses of the cluster can be reached from this pod: the proof that a network policy is enforced.

What answers with a refusal counts as unreachable, because policy agents refuse in this way too: that something listens
there is known from elsewhere, of the canary since `prepare` reached it.
"""

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from isobench.contracts.base import Contract
from isobench.contracts.reasons import ItemFailure, Reason

ROUNDS = 5
"""So often in a row nothing may be reached."""

PAUSE_SECONDS = 0.2
ANSWER_SECONDS = 0.5
DNS_PORT = 53

# A question for the address of the cluster's API server: header (one question, recursion desired) and name.
_NAME = b"".join(bytes([len(part)]) + part for part in b"kubernetes.default.svc.cluster.local".split(b"."))
_QUESTION = b"\x15\x0b\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + _NAME + b"\x00\x00\x01\x00\x01"

Attempt = Callable[[str], bool]


class Proof(Contract):
    """What was tried until nothing could be reached, and how long that took."""

    tried: dict[str, str]
    """Address by what is there."""
    rounds: int
    seconds: float
    reached_at_first: list[str]

    @property
    def sentence(self) -> str:
        """For a person."""
        tried = ", ".join(f"{name} ({address})" for name, address in self.tried.items())
        first = f"; {', '.join(self.reached_at_first)} could be reached at first" if self.reached_at_first else ""
        return f"{tried}: unreachable {self.rounds} times in a row after {self.seconds:.1f} s{first}"


def prove_isolation(addresses: Mapping[str, str], attempts: Mapping[str, Attempt], seconds: float) -> Proof:
    """Try all of ``addresses``, each by its own of ``attempts`` or by connecting, until nothing was reached in a row.

    Raises:
        ItemFailure: `NetworkNotIsolated`; after so many seconds something can still be reached.
    """
    started = time.monotonic()
    first: list[str] | None = None
    in_a_row = 0
    with ThreadPoolExecutor(len(addresses)) as pool:
        while True:
            answers = pool.map(lambda name: attempts.get(name, is_reached)(addresses[name]), addresses)
            reached = [name for name, answer in zip(addresses, answers, strict=True) if answer]
            first = reached if first is None else first
            in_a_row = 0 if reached else in_a_row + 1
            passed = time.monotonic() - started
            if in_a_row == ROUNDS:
                return Proof(tried=dict(addresses), rounds=ROUNDS, seconds=passed, reached_at_first=first)
            if reached and passed >= seconds:  # else a row has begun, and its end decides
                raise _not_isolated({name: addresses[name] for name in reached}, passed)
            time.sleep(PAUSE_SECONDS)


def _not_isolated(reached: Mapping[str, str], passed: float) -> ItemFailure:
    where = ", ".join(f"{name} ({address})" for name, address in reached.items())
    message = (
        f"{where} can be reached from a timing pod {passed:.0f} s after its start: is the network policy enforced?"
    )
    return ItemFailure(Reason.NETWORK_NOT_ISOLATED, message)


def is_reached(address: str) -> bool:
    """Whether somebody accepts a connection at ``address``, a host and a port."""
    try:
        socket.create_connection(_parts(address), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def wait_for(named: str, seconds: float) -> str | None:
    """The plain address of ``named``, a host and a port, as soon as somebody accepts connections there.

    None: nobody does within so many seconds. What was installed a moment ago may still be starting.
    """
    ending = time.monotonic() + seconds
    while True:
        address = address_of(named)
        if address is not None and is_reached(address):
            return address
        if time.monotonic() >= ending:
            return None
        time.sleep(PAUSE_SECONDS)


def answers_questions(address: str, seconds: float = ANSWER_SECONDS) -> bool:
    """Whether the name server at ``address`` answers within so many seconds, by datagram or by connection."""
    host, port = _parts(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as question:
            question.settimeout(seconds)
            question.connect((host, port))
            question.send(_QUESTION)
            question.recv(512)
    except OSError:
        return is_reached(address)
    return True


def address_of(named: str) -> str | None:
    """``named``, a host and a port, as a plain address; None where the name can't be resolved from here."""
    try:
        found = socket.getaddrinfo(*_parts(named), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    host, port = str(found[0][4][0]), int(found[0][4][1])
    return _joined(host, port)


def name_servers(configuration: Path) -> Iterable[str]:
    """The addresses of the name servers that this pod asks."""
    if not configuration.is_file():
        return []
    lines = (line.split() for line in configuration.read_text(encoding="utf-8").splitlines())
    hosts = [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]
    return [_joined(host, DNS_PORT) for host in hosts]


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
