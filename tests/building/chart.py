"""The chart as tests see it: rendered by a real helm, and the objects that come out."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster import binaries

CHART = Path(__file__).parents[2] / "charts" / "isobench"
MONITORING = tuple(f"monitoring.coreos.com/v1/{kind}" for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule"))


def helm_program() -> Path:
    """The path of helm, built once."""
    return binaries.ensure(("helm",)) / "helm"


class Refused(Exception):
    """Helm did not take the values; the text is what it said."""


@dataclass(frozen=True)
class Chart:
    """The chart through the program ``helm``."""

    helm: Path

    def run(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        """What `helm ARGUMENTS` prints, with ``values`` on its standard input.

        Raises:
            Refused: it failed.
        """
        given = ("--values", "-") if values is not None else ()
        told = yaml.safe_dump(values) if values is not None else None
        command = [str(self.helm), *arguments, *given]
        done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            raise Refused(done.stderr + done.stdout)
        return done.stdout

    def objects(self, values: dict[str, Any] | None = None, kinds: Sequence[str] = ()) -> "Objects":
        """What the chart makes of ``values`` in a cluster that also knows ``kinds``."""
        known = ["--kube-version", binaries.KUBERNETES]
        known += [option for kind in kinds for option in ("--api-versions", kind)]
        arguments = ("template", "isobench", str(CHART), "--namespace", "isobench", *known)
        documents = yaml.safe_load_all(self.run(*arguments, values=values or {}))
        return Objects([document for document in documents if document])


@dataclass(frozen=True)
class Objects:
    """Rendered objects."""

    all: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Those of one kind."""
        return [found for found in self.all if found["kind"] == kind]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The one of that kind and name."""
        (found,) = [found for found in self.of(kind) if found["metadata"]["name"] == name]
        return found

    def pods(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every pod's spec, with the name of what makes it."""
        for found in self.all:
            if found["kind"] == "Deployment":
                yield found["metadata"]["name"], found["spec"]["template"]["spec"]
            if found["kind"] == "Pod":
                yield found["metadata"]["name"], found["spec"]

    def operator_arguments(self) -> list[str]:
        """The flags that the operator is started with, as its pod resolves them."""
        (container,) = dict(self.pods())["isobench-operator"]["containers"]
        return [argument.replace("$(POD_NAME)", "operator-0") for argument in container["args"]]


@dataclass(frozen=True)
class Release:
    """A release of the chart in the cluster of ``kubeconfig``, through the same helm."""

    chart: Chart
    kubeconfig: Path
    name: str = "isobench"
    namespace: str = "isobench"

    def install(self, values: dict[str, Any] | None = None, *options: str) -> str:
        """`helm install`.

        Raises:
            Refused: it failed.
        """
        return self._helm("install", self.name, str(CHART), "--create-namespace", *options, values=values or {})

    def upgrade(self, values: dict[str, Any] | None = None, *options: str) -> str:
        """`helm upgrade` with these values alone."""
        return self._helm("upgrade", self.name, str(CHART), "--reset-values", *options, values=values or {})

    def rollback(self) -> str:
        """`helm rollback` to the revision before."""
        return self._helm("rollback", self.name)

    def uninstall(self) -> str:
        """`helm uninstall`."""
        return self._helm("uninstall", self.name, "--wait")

    def test(self, *options: str) -> str:
        """`helm test`, with what the test pod printed."""
        return self._helm("test", self.name, "--logs", *options)

    def _helm(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        where = ("--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace)
        return self.chart.run(*arguments, *where, values=values)


@contextmanager
def installed(
    chart: Chart, kubeconfig: Path, kubectl: Callable[..., str], values: dict[str, Any] | None = None
) -> Iterator[Release]:
    """A release on an API server without nodes, until the block ends: then it, the kinds and all benchmarks are gone.

    Without ``values`` nothing is installed yet.
    """
    release = Release(chart, kubeconfig)
    if values is not None:
        release.install(values)
    try:
        yield release
    finally:
        with suppress(Refused):
            release.uninstall()
        kubectl("delete", "crd", "--all", "--wait=true")
        kubectl("delete", "jobs,pods,configmaps,leases", "--all", "--all-namespaces", "--force", "--grace-period=0")
