"""The policy agent: enforces network policies on the node's bridge, from a pod's start, late, or never.

A namespace's annotation `cluster.isobench.dev/policy-delay` says when: seconds after a pod got its address, or `never`;
0 without it. Run as `python -m cluster.policy_agent KUBECONFIG SOCKET`.
"""

import json
import math
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.policy_rules import EGRESS, INGRESS, Pod, rules
from cluster.watching import Client, Watched

DELAY = "cluster.isobench.dev/policy-delay"
_OVER = ("Succeeded", "Failed")


class Agent:
    """Keeps two chains of iptables as the policies want them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._due: dict[tuple[str, str], tuple[float, Pod]] = {}
        self._programmed: list[str] = []
        _hook_chains()
        self._namespaces = Watched(client, "/api/v1/namespaces", self._look)
        self._policies = Watched(client, "/apis/networking.k8s.io/v1/networkpolicies", self._look)
        self._pods = Watched(client, "/api/v1/pods", self._pod_changed)
        for watched in (self._namespaces, self._policies, self._pods):
            watched.listed.wait()

    def pod_added(self, namespace: str, name: str, address: str) -> None:
        """A pod has got its address: its policies hold when this returns, or after the namespace's delay."""
        found = self._client.call("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")
        delay = self._delay(namespace)
        pod = Pod(namespace, name, address, found["metadata"].get("labels") or {})
        with self._lock:
            self._due[namespace, name] = time.monotonic() + delay, pod
        if 0 < delay < math.inf:
            threading.Timer(delay + 0.01, self._look, [None]).start()
        self._look(None)

    def _delay(self, namespace: str) -> float:
        found = self._client.call("GET", f"/api/v1/namespaces/{namespace}")
        value = (found["metadata"].get("annotations") or {}).get(DELAY, "0")
        return math.inf if value == "never" else float(value)

    def _pod_changed(self, found: Any) -> None:
        metadata, status = found["metadata"], found.get("status", {})
        key = metadata["namespace"], metadata["name"]
        gone = key not in self._pods_now() or status.get("phase") in _OVER
        with self._lock:
            if gone:
                self._due.pop(key, None)
            elif status.get("podIP") and key not in self._due and not found["spec"].get("hostNetwork"):
                pod = Pod(*key, status["podIP"], metadata.get("labels") or {})
                self._due[key] = 0.0, pod
        self._look(found)

    def _pods_now(self) -> Mapping[tuple[str, str], Any]:
        return self._pods.objects if hasattr(self, "_pods") else {}

    def _look(self, _changed: Any) -> None:
        """Program what is due now, if it differs from what is programmed."""
        with self._lock:
            pods = [pod for at, pod in self._due.values() if at <= time.monotonic()]
            names = {
                name: found["metadata"].get("labels") or {} for (_, name), found in self._all("_namespaces").items()
            }
            wanted = rules(pods, names, list(self._all("_policies").values()))
            if wanted != self._programmed:
                _restore([f":{EGRESS} - [0:0]", f":{INGRESS} - [0:0]", *wanted])
                self._programmed = wanted

    def _all(self, name: str) -> dict[tuple[str, str], Any]:
        """A copy of what is watched; nothing while the first watches start."""
        watched = getattr(self, name, None)
        return dict(watched.objects) if watched else {}


def _hook_chains() -> None:
    """Every packet from a pod, to a pod or to the node itself, passes both chains."""
    hooks = [f"-I {place} 1 -j {chain}" for place in ("FORWARD", "INPUT") for chain in (EGRESS, INGRESS)]
    _restore([f":{EGRESS} - [0:0]", f":{INGRESS} - [0:0]"])
    for hook in hooks:
        check = hook.replace("-I", "-C").replace(" 1 ", " ")
        if subprocess.run(["iptables", "-w", *check.split()], capture_output=True, check=False).returncode:
            subprocess.run(["iptables", "-w", *hook.split()], check=True)


def _restore(lines: list[str]) -> None:
    """Replace the two chains at once."""
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    subprocess.run(["iptables-restore", "-w", "--noflush"], input=text, text=True, check=True)


def main() -> None:
    """Serve the CNI plug-in for ever."""
    agent = Agent(Client(Path(sys.argv[1])))

    class Added(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            agent.pod_added(*json.loads(self.rfile.readline()))
            self.wfile.write(b"1")

    path = Path(sys.argv[2])
    path.unlink(missing_ok=True)
    with socketserver.ThreadingUnixStreamServer(str(path), Added) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
