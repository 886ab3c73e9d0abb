"""Releases of the chart on the real cluster, each with objects of its own."""

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

from building.chart import Chart, Refused, Release, helm_program
from cluster.given_cluster import GivenCluster
from cluster.own_cluster import OwnCluster

KINDS = ("commitbenchmarks", "commitbenchmarkbatches")


@contextlib.contextmanager
def installed(cluster: OwnCluster | GivenCluster, **chosen: Any) -> Iterator[Release]:
    """A release in a namespace that enforces restricted Pod Security, until the block ends."""
    place, kubectl = f"isobench-{secrets.token_hex(3)}", cluster.kubectl
    made = Release(Chart(helm_program()), cluster.kubeconfig, namespace=place)
    kubectl("create", "namespace", place)
    kubectl("label", "namespace", place, "pod-security.kubernetes.io/enforce=restricted")
    adopt_definitions(cluster, made)
    try:
        made.install(values(cluster, made) | chosen, "--wait", "--timeout=180s")
        yield made
    finally:
        with contextlib.suppress(Refused):
            made.uninstall()
        kubectl("delete", "namespace", place, "--wait=false")


def adopt_definitions(cluster: OwnCluster | GivenCluster, release: Release) -> None:
    """Make definitions that are there the release's, as docs/operating/upgrades.md says, if releases bring them."""
    kubectl = cluster.kubectl
    for kind in KINDS if cluster.chart_values["crds"]["install"] else ():
        there = ("crd", f"{kind}.isobench.dev")
        if kubectl("get", *there, "--ignore-not-found"):
            kubectl("label", *there, "--overwrite", "app.kubernetes.io/managed-by=Helm")
            owner = f"meta.helm.sh/release-name={release.name}"
            kubectl("annotate", *there, "--overwrite", owner, f"meta.helm.sh/release-namespace={release.namespace}")


def values(cluster: OwnCluster | GivenCluster, release: Release, **operator: Any) -> dict[str, Any]:
    """A release that serves objects of its own only."""
    own = {"controllerName": release.namespace, "priorityClasses": {"create": False}}
    return own | cluster.chart_values | {"operator": operator}
