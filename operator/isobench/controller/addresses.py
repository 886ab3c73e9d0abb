"""What isolated pods must not reach, by number: they have no name server to ask."""

import asyncio
import os
import socket
import time

from isobench.controller.jobs.stages import Addresses
from isobench.controller.settings import ControllerSettings

_REMEMBERED_SECONDS = 60.0


class AddressBook:
    """Resolves the settings' names, again after a minute: a Service may be made anew."""

    def __init__(self, settings: ControllerSettings) -> None:
        """Nothing is asked yet."""
        self._settings = settings
        self._found: dict[str, tuple[str, float]] = {}

    async def addresses(self) -> Addresses:
        """The addresses now."""
        return Addresses(
            api_server=await self._numeric(self._settings.api_server_address or _own_api_server()),
            canary=await self._numeric(self._settings.canary_address),
        )

    async def _numeric(self, address: str | None) -> str | None:
        if address is None:
            return None
        found, until = self._found.get(address, ("", 0.0))
        if time.monotonic() < until:
            return found
        host, _, port = address.rpartition(":")
        try:
            answers = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        except OSError:
            return address  # it will not answer anybody: prepare finds that out, and nothing is timed
        number = f"{answers[0][4][0]}:{port}"
        self._found[address] = (number, time.monotonic() + _REMEMBERED_SECONDS)
        return number


def _own_api_server() -> str | None:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    return f"{host}:{port}" if host and port else None
