"""How to reach the API server: by kopf's own readers of a kubeconfig or of the pod's service account."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import kopf
import yaml

log = logging.getLogger(__name__)

_TOKEN_SECONDS = 60.0
_VARIABLE = threading.Lock()  # kopf's reader takes the file's name from a variable of the process


class NoConnection(Exception):
    """Nothing says how to reach the API server; the message says what would."""


class Connection:
    """The API server's address and this process's credentials, read anew as they are rotated."""

    def __init__(self, kubeconfig: Path | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read ``kubeconfig``, or the pod's service account if it is None.

        Raises:
            NoConnection: neither is there, or it can't be read.
        """
        self._kubeconfig = kubeconfig
        self._monotonic = monotonic
        self.info = self._read()
        self._read_at = monotonic()

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.info.server

    def headers(self, *, again: bool = False) -> dict[str, str]:
        """The headers that say who we are; tokens are read again every minute, and when a request is sent ``again``."""
        if again or self._monotonic() - self._read_at > _TOKEN_SECONDS:
            self._read_at = self._monotonic()
            try:
                self.info = self._read()
            except NoConnection as problem:  # a file that somebody writes at this moment
                log.warning("the credentials are those of before: %s", problem)
        return self.info.as_http_headers()

    def _read(self) -> kopf.ConnectionInfo:
        settings = kopf.OperatorSettings()
        try:
            if self._kubeconfig is not None:
                with _VARIABLE:
                    os.environ["KUBECONFIG"] = str(self._kubeconfig)
                    info = kopf.login_with_kubeconfig(settings=settings)
            else:
                info = kopf.login_with_service_account(settings=settings)
        except (OSError, ValueError, KeyError, yaml.YAMLError, kopf.LoginError) as error:
            raise NoConnection(f"{self._kubeconfig or 'the service account'} can't be read: {error}") from error
        if info is None:
            raise NoConnection("not in a pod with a service account; name a kubeconfig by --kubeconfig FILE")
        address = self._kubeconfig is None and _service_address()
        return replace(info, trust_env=False, server=address or info.server)


def _service_address() -> str | None:
    """The API server's address as the kubelet tells every pod: the operator must not need the cluster's DNS."""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
    if not host or not port:
        return None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
