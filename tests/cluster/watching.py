"""What the cluster's small agents know of the API server: objects of one kind, kept up to date by list and watch."""

import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class Client:
    """The API server by a kubeconfig of the harness (one token, one authority)."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        self._server = config["clusters"][0]["cluster"]["server"]
        self._token = config["users"][0]["user"]["token"]
        self._tls = ssl.create_default_context(cafile=config["clusters"][0]["cluster"]["certificate-authority"])

    def call(self, verb: str, path: str, body: Any = None, *, kind: str = "application/json") -> Any:
        """One request; what it answers."""
        with self._open(verb, path, body, kind) as answer:
            return json.loads(answer.read())

    def stream(self, path: str) -> Iterator[Any]:
        """The events of a watch, until it ends."""
        with self._open("GET", path, None, "application/json") as answer:
            for line in answer:
                yield json.loads(line)

    def _open(self, verb: str, path: str, body: Any, kind: str) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._server + path, data, headers, method=verb)
        return urllib.request.urlopen(request, context=self._tls, timeout=300)


class Watched:
    """All objects of a kind, by namespace and name; calls back after every change."""

    def __init__(self, client: Client, path: str, changed: Callable[[Any], None]) -> None:
        self._client = client
        self._path = path
        self._changed = changed
        self.objects: dict[tuple[str, str], Any] = {}
        self._listed = threading.Event()

    def start(self) -> None:
        """Follow in the background; returns when everything that is there is known."""
        threading.Thread(target=self._follow_for_ever, daemon=True).start()
        self._listed.wait()

    def all(self) -> list[tuple[tuple[str, str], Any]]:
        """What is there now."""
        return list(self.objects.items())

    def put(self, found: Any) -> None:
        """Know of an object that was read by another way."""
        self.objects[_key(found)] = found

    def _follow_for_ever(self) -> None:
        while True:
            try:
                self._follow()
            except (OSError, urllib.error.URLError, ValueError):
                time.sleep(0.3)

    def _follow(self) -> None:
        listing = self._client.call("GET", self._path)
        self.objects = {_key(found): found for found in listing["items"]}
        self._listed.set()
        for found in list(self.objects.values()):
            self._changed(found)
        version = listing["metadata"]["resourceVersion"]
        for event in self._client.stream(f"{self._path}?watch=1&resourceVersion={version}&timeoutSeconds=240"):
            found = event["object"]
            if event["type"] == "ERROR":
                return
            if event["type"] == "DELETED":
                self.objects.pop(_key(found), None)
            else:
                self.objects[_key(found)] = found
            self._changed(found)


def _key(found: Any) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]
