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
from pathlib import Path
from typing import Any

from cluster.policy_rules import EGRESS, INGRESS, Pod, rules
from cluster.watching import Client, Watched

DELAY = "cluster.isobench.dev/policy-delay"
_NAMESPACES, _POLICIES = "/api/v1/namespaces", "/apis/networking.k8s.io/v1"
_OVER = ("Succeeded", "Failed")


class Agent:
    """Keeps two chains of iptables as the policies want them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.RLock()
        self._pods: dict[tuple[str, str], tuple[float, Pod]] = {}
        self._programmed: list[str] = []
        self._namespaces = Watched(client, _NAMESPACES, self._look)
        self._policies = Watched(client, f"{_POLICIES}/networkpolicies", self._look)
        self._watched_pods = Watched(client, "/api/v1/pods", self._pod_changed)
        _hook_chains()
        for watched in (self._namespaces, self._policies, self._watched_pods):
            watched.start()

    def pod_added(self, namespace: str, name: str, address: str) -> None:
        """A pod has got its address: its policies hold when this returns, or after the namespace's delay."""
        found = self._client.call("GET", f"{_NAMESPACES}/{namespace}/pods/{name}")
        # What was created just before the pod may not have been seen yet.
        self._namespaces.put(self._client.call("GET", f"{_NAMESPACES}/{namespace}"))
        for policy in self._client.call("GET", f"{_POLICIES}/namespaces/{namespace}/networkpolicies")["items"]:
            self._policies.put(policy)
        with self._lock:
            pod = Pod(namespace, name, address, found["metadata"].get("labels") or {})
            self._pods[namespace, name] = time.monotonic(), pod
        if 0 < (delay := self._delay(namespace)) < math.inf:
            threading.Timer(delay + 0.01, self._look, [None]).start()
        self._look(None)

    def _pod_changed(self, found: Any) -> None:
        metadata, status = found["metadata"], found.get("status", {})
        key = metadata["namespace"], metadata["name"]
        with self._lock:
            if key not in self._watched_pods.objects or status.get("phase") in _OVER:
                self._pods.pop(key, None)
            elif status.get("podIP") and key not in self._pods and not found["spec"].get("hostNetwork"):
                self._pods[key] = 0.0, Pod(*key, status["podIP"], metadata.get("labels") or {})
        self._look(found)

    def _look(self, _changed: Any) -> None:
        """Program what is due now, if it differs from what is programmed."""
        with self._lock:
            now = time.monotonic()
            pods = [pod for since, pod in self._pods.values() if since + self._delay(pod.namespace) <= now]
            labels = {name: space["metadata"].get("labels") or {} for (_, name), space in self._namespaces.all()}
            wanted = rules(pods, labels, [policy for _, policy in self._policies.all()])
            if wanted != self._programmed:
                _restore([f":{EGRESS} - [0:0]", f":{INGRESS} - [0:0]", *wanted])
                self._programmed = wanted

    def _delay(self, namespace: str) -> float:
        found = self._namespaces.objects.get(("", namespace), {"metadata": {}})
        value = (found["metadata"].get("annotations") or {}).get(DELAY, "0")
        return math.inf if value == "never" else float(value)


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
