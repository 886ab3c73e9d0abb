"""The metering gateway as a child process: started with what it alone may know, ended with its parent."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.configuration import Price
from isobench.contracts.reasons import ItemFailure, Reason

START_SECONDS = 60.0
STOP_SECONDS = 10.0
ENVIRONMENT = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class GatewaySettings(Contract):
    """What a gateway is told; it travels through a pipe only."""

    upstream: str = Field(description="The provider's base URL.")
    key: str | None = Field(default=None, repr=False, description="The provider's key; None where it wants none.")
    pricing: dict[str, Price] = Field(description="The models that may be used.")
    cap_usd: float = Field(ge=0, description="Cap on everything in the ledger together.")
    ledger: Path
    attempt: int = Field(ge=1)
    max_calls: int | None = Field(default=None, ge=1, description="Calls that the attempt may be charged for.")
    socket: Path | None = Field(default=None, description="Unix socket to serve on; a port of loopback by default.")
    timeout_seconds: float = Field(gt=0, description="Time limit of one call.")
    default_max_tokens: int = Field(ge=1, description="Where a request says nothing.")
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


class GatewayReport(Contract):
    """What a gateway says when it is ready, or why it never will be: one line on its standard output."""

    port: int | None = None
    socket: Path | None = None
    token: str | None = Field(default=None, repr=False, description="What clients show instead of the key.")
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway, as a client needs it: an OpenAI base URL and a placeholder for the key.

    Where there is a ``socket``, HTTP goes through it, and the URL's host means nothing.
    """

    base_url: str
    token: str
    pid: int
    socket: Path | None = None


@contextmanager
def running_gateway(settings: GatewaySettings, log: Path) -> Iterator[Gateway]:
    """A gateway for as long as the block lasts; it ends when this process does, however that comes about.

    Raises:
        ItemFailure: it could not start, for the reason that it gave.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "isobench.adapters.models.gateway_service"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_environment(os.environ),
            start_new_session=True,  # a Ctrl-C is its parent's to handle
        )
    try:
        report = _introduce(process, settings, log)
        if report.token is None:
            raise ItemFailure(report.reason or Reason.INFRASTRUCTURE_ERROR, report.message)
        host = "gateway" if report.socket else f"127.0.0.1:{report.port}"
        yield Gateway(f"http://{host}/v1", report.token, process.pid, report.socket)
    finally:
        _end(process)


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = {*ENVIRONMENT, *(name.lower() for name in ENVIRONMENT)}
    return {name: value for name, value in environment.items() if name in names}


def _introduce(process: subprocess.Popen[bytes], settings: GatewaySettings, log: Path) -> GatewayReport:
    assert process.stdin is not None  # both are pipes
    assert process.stdout is not None
    try:
        process.stdin.write(settings.model_dump_json().encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # its silence below says the same
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        return GatewayReport(
            reason=Reason.INFRASTRUCTURE_ERROR, message=f"the metering gateway did not start: read {log}"
        )
    return GatewayReport.parse(json.loads(line), "the metering gateway's report")


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
