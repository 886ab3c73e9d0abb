"""Where items are on the real cluster, what they ask for there, and who shows that their timing has no network."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from building.swift_history import TEST
from cluster.conftest import BUCKET, STORE_SECRET
from cluster.kubectl import isobench
from isobench.controller.jobs.containers import Pod, worker
from isobench.controller.jobs.resources import SUPERVISOR
from isobench.controller.settings import ControllerSettings

QUICK = {"warmup": 0, "minPairs": 8, "maxPairs": 8}
CANARY_PORT = 8080


@dataclass(frozen=True)
class World:
    """Where the items are, and what they ask for."""

    cluster: object
    namespace: str
    kubectl: Callable[..., str]
    history: object
    url: str

    def asked(self, controller=None, **changes):
        """The merged change of the history, timed quickly."""
        store = {"store": f"s3://{BUCKET}/{self.namespace}", "endpoint": self.cluster.s3_endpoint}
        return {
            "repository": {"url": self.url},
            "commits": {"head": self.history.merged},
            "test": {"inline": TEST},
            "timing": QUICK,
            "output": store | {"secretRef": {"name": STORE_SECRET}},
            "controllerName": controller or self.namespace,
        } | changes

    def ask(self, *arguments):
        """`kubectl isobench`, by a person who has the store's keys."""
        return isobench(self.cluster.kubeconfig, self.namespace, *arguments, **self.cluster.s3_credentials)

    def canary(self):
        """The address of somebody who answers whoever may connect, as the chart installs it."""
        settings = ControllerSettings(**self.cluster.settings)
        container = worker("stage", "canary", json.dumps({"port": CANARY_PORT}), settings, SUPERVISOR)
        pod = Pod([container], {"app": "canary"}, seconds=3600).manifest(settings)
        manifest = {"apiVersion": "v1", "kind": "Pod"} | pod | {"metadata": {"name": "canary"}}
        inside = ("-n", self.namespace)
        self.kubectl("apply", *inside, "-f-", input=json.dumps(manifest))
        self.kubectl("wait", *inside, "pod/canary", "--for=condition=Ready", "--timeout=120s")
        return f"{self.kubectl('get', *inside, 'pod/canary', '-o', 'jsonpath={.status.podIP}')}:{CANARY_PORT}"
