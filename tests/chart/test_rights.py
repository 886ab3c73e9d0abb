"""Rights on a real API server: the operator may do what its code asks for and no more, a team what is its own."""

import pytest
import yaml

from building.chart import Release
from generate_chart import CHART

OPERATOR = "system:serviceaccount:isobench:isobench-operator"
TENANTS = [
    {
        "namespace": name,
        "create": True,
        "subjects": [{"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    for name in ("team-a", "team-b")
]


def named(group, resource):
    """The resource as kubectl names it: `jobs.batch`, `commitbenchmarks.isobench.dev/status`."""
    plural, slash, below = resource.partition("/")
    return f"{plural}.{group}{slash}{below}" if group else resource


RULES = yaml.safe_load((CHART / "files" / "operator-rules.yaml").read_text(encoding="utf-8"))
ASKED = [
    (verb, named(rule["apiGroups"][0], resource))
    for rule in RULES
    for resource in rule["resources"]
    for verb in rule["verbs"]
]
FORBIDDEN_TO_THE_OPERATOR = [
    ("get", "secrets"),
    ("list", "secrets"),
    ("create", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/log"),
    ("delete", "namespaces"),
    ("create", "serviceaccounts/token"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
    ("update", "commitbenchmarks.isobench.dev"),
]


@pytest.fixture(scope="module", params=["cluster", "tenants"])
def scope(request, chart, api, kubectl):
    """A release of either scope that serves two teams."""
    release = Release(chart, api.kubeconfig)
    release.install({"scope": request.param, "tenants": TENANTS})
    yield request.param
    release.uninstall()


@pytest.fixture(scope="module")
def may(kubectl):
    """Whether somebody may do something in a namespace."""

    def ask(who, verb, resource, namespace, group=None):
        groups = ("--as-group", group) if group else ()
        plural, _, below = resource.partition("/")
        part = (f"--subresource={below}",) if below else ()
        asked = ("auth", "can-i", verb, plural, *part, "--namespace", namespace)
        return kubectl(*asked, "--as", who, *groups, check=False).startswith("yes")

    return ask


def test_the_operator_may_do_what_its_code_asks_for(scope, may):
    assert [asked for asked in ASKED if not may(OPERATOR, *asked, "team-a")] == []


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN_TO_THE_OPERATOR)
def test_the_operator_may_not(scope, may, verb, resource):
    assert not may(OPERATOR, verb, resource, "team-a")


def test_the_operator_of_scope_tenants_has_no_rights_elsewhere(scope, may):
    assert any(may(OPERATOR, *asked, "kube-system") for asked in ASKED) == (scope == "cluster")


def test_its_lease_and_accounts_are_at_home_only(scope, may):
    assert may(OPERATOR, "update", "leases.coordination.k8s.io", "isobench")
    assert may(OPERATOR, "create", "configmaps", "isobench")
    assert not may(OPERATOR, "update", "leases.coordination.k8s.io", "team-a")
    assert not may(OPERATOR, "get", "configmaps", "team-a")


@pytest.mark.parametrize(
    ("verb", "resource", "own", "anothers"),
    [
        ("create", "commitbenchmarkbatches.isobench.dev", True, False),
        ("get", "commitbenchmarks.isobench.dev", True, False),
        ("create", "secrets", True, False),
        ("get", "secrets", True, False),
        ("get", "pods/log", True, False),
        ("update", "resourcequotas", False, False),
        ("delete", "networkpolicies.networking.k8s.io", False, False),
        ("create", "networkpolicies.networking.k8s.io", False, False),
        ("create", "pods", False, False),
    ],
)
def test_a_team_may_do_what_is_its_own_and_nothing_of_anothers(scope, may, verb, resource, own, anothers):
    assert may("alice", verb, resource, "team-a", group="team-a") == own
    assert may("alice", verb, resource, "team-b", group="team-a") == anothers
    assert not may("alice", verb, resource, "isobench", group="team-a")


def test_a_team_can_not_forge_a_status(scope, kubectl, may):
    made = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark", "metadata": {"name": f"one-{scope}"}}
    written = made | {
        "spec": {
            "repository": {"url": "https://host.example/r.git"},
            "commits": {"head": "a" * 40},
            "output": {"store": "s3://b/p"},
        }
    }
    alice = ("--as", "alice", "--as-group", "team-a", "--namespace", "team-a")
    kubectl("create", *alice, "-f", "-", input=yaml.safe_dump(written))
    forged = '{"status": {"cost": {"measuredUsd": 0}}}'
    patch = ("patch", "cb", f"one-{scope}", "--type=merge", "--patch", forged)
    assert "forbidden" in kubectl(*patch, "--subresource=status", *alice, check=False)
    kubectl(*patch, *alice)
    assert kubectl("get", "cb", f"one-{scope}", *alice, "--output", "jsonpath={.status}") == ""
