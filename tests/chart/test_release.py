"""A release on a real API server: installed, upgraded, rolled back, uninstalled, and refused where it would do harm."""

import json
import re
from pathlib import Path

import pytest
import yaml

from building.chart import Refused, Release, installed
from building.items import spec

TENANTS = [
    {"namespace": "team-a", "create": True, "caps": {"dollars": 5}, "quota": {"pods": "40"}},
    {
        "namespace": "team-b",
        "create": True,
        "subjects": [{"kind": "User", "name": "b", "apiGroup": "rbac.authorization.k8s.io"}],
    },
]
TENANTS_PAGE = Path(__file__).parents[2] / "docs" / "operating" / "tenants.md"
DEFINITION = "commitbenchmarks.isobench.dev"


@pytest.fixture
def release(chart, api, kubectl):
    """A release that is not installed yet; at the end nothing of it is left, its definitions neither."""
    with installed(chart, api.kubeconfig, kubectl) as made:
        yield made


def benchmark(name="one", namespace="default"):
    metadata = {"name": name, "namespace": namespace}
    kind = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark"}
    return kind | {"metadata": metadata, "spec": spec(output={"store": "s3://bucket/prefix"}).manifest()}


def found(kubectl, *what):
    return json.loads(kubectl("get", *what, "--output", "json"))


def test_everything_passes_a_server_side_dry_run(chart, kubectl, release):
    release.install({"tenants": TENANTS})
    for values in ({"tenants": TENANTS}, {"tenants": TENANTS, "scope": "tenants"}):
        # A pod needs its service account to be there, which in a dry run it is not.
        objects = [found for found in chart.objects(values).all if found["kind"] != "Pod"]
        asked = ("apply", "--dry-run=server", "--server-side", "--force-conflicts", "-f", "-")
        assert kubectl(*asked, input=yaml.safe_dump_all(objects)).count("(server dry run)") == len(objects)


def test_the_tenants_of_the_operating_pages_are_taken(release, kubectl):
    (written,) = re.findall(r"```yaml\n(scope: tenants.*?)```", TENANTS_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    values = yaml.safe_load(written)
    values["tenants"][1]["create"] = True  # the page's team-b has a namespace already
    release.install(values)
    assert found(kubectl, "resourcequota", "isobench", "-n", "team-a")["spec"]["hard"]["pods"] == "60"
    assert "--namespace-cap=team-b:dollars=5.0000" in operator_flags(kubectl)


def test_installing_tells_the_next_command(release):
    assert "helm test isobench --namespace isobench --logs" in release.install()


def test_an_upgrade_keeps_benchmarks_and_a_rollback_brings_the_values_back(release, kubectl):
    release.install({"operator": {"workers": 4}})
    kubectl("apply", "-f", "-", input=yaml.safe_dump(benchmark()))
    before = found(kubectl, "cb", "one")["metadata"]["uid"]
    release.upgrade({"operator": {"workers": 8}})
    assert "--workers=8" in operator_flags(kubectl)
    release.rollback()
    assert "--workers=4" in operator_flags(kubectl)
    assert found(kubectl, "cb", "one")["metadata"]["uid"] == before


def operator_flags(kubectl):
    pod = found(kubectl, "deployment", "isobench-operator", "-n", "isobench")["spec"]["template"]["spec"]
    return pod["containers"][0]["args"]


def test_uninstalling_leaves_definitions_benchmarks_and_namespaces_and_a_new_release_takes_them_up(release, kubectl):
    release.install({"tenants": TENANTS})
    kubectl("apply", "-f", "-", input=yaml.safe_dump(benchmark(namespace="team-a")))
    release.uninstall()
    assert found(kubectl, "cb", "one", "-n", "team-a")["metadata"]["name"] == "one"
    assert found(kubectl, "deployments", "--all-namespaces")["items"] == []
    assert found(kubectl, "clusterroles", "-l", "app.kubernetes.io/name=isobench")["items"] == []
    release.install({"tenants": TENANTS})
    assert found(kubectl, "cb", "one", "-n", "team-a")["metadata"]["name"] == "one"


def test_a_second_release_is_told_that_the_definitions_are_anothers(chart, api, release):
    release.install()
    second = Release(chart, api.kubeconfig, name="other", namespace="elsewhere")
    with pytest.raises(Refused, match=r"not this release's \(it is isobench's in isobench\).*crds.install=false"):
        second.install()
    second.install({"crds": {"install": False}, "controllerName": "other"})
    second.uninstall()


def test_definitions_that_somebody_applied_by_hand_are_not_taken_over(release, kubectl):
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    names = {"plural": "commitbenchmarks", "kind": "CommitBenchmark"}
    open_schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": open_schema}
    written = {"group": "isobench.dev", "scope": "Namespaced", "names": names, "versions": [version]}
    kubectl("create", "-f", "-", input=yaml.safe_dump(definition | {"metadata": {"name": DEFINITION}, "spec": written}))
    with pytest.raises(Refused, match=r"is there and not this release's \(it is nobody's"):
        release.install()


def test_definitions_of_a_newer_chart_are_not_put_back(release, kubectl):
    release.install()
    release.uninstall()
    kubectl("annotate", "crd", DEFINITION, "--overwrite", "isobench.dev/chart-version=9.9.9")
    with pytest.raises(Refused, match=r"is of chart 9\.9\.9, newer than this chart"):
        release.install()


def test_definitions_of_an_older_chart_are_brought_up_to_date(release, kubectl):
    release.install()
    release.uninstall()
    kubectl("annotate", "crd", DEFINITION, "--overwrite", "isobench.dev/chart-version=0.0.1")
    release.install()
    assert found(kubectl, "crd", DEFINITION)["metadata"]["annotations"]["isobench.dev/chart-version"] != "0.0.1"


def test_a_policy_that_the_operator_made_before_the_tenant_was_listed_stays_its_own(release, kubectl):
    kubectl("create", "namespace", "team-c")
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}}
    named = policy | {"metadata": {"name": "isobench-timing", "namespace": "team-c"}}
    kubectl("create", "-f", "-", input=yaml.safe_dump(named))
    release.install({"tenants": [{"namespace": "team-c"}]})
    assert found(kubectl, "networkpolicy", "isobench-timing", "-n", "team-c")["spec"]["podSelector"] == {}
