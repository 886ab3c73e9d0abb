"""Rights on a real API server: the operator may do what its code asks for and no more, a team what is its own."""

import json
from typing import NamedTuple

import pytest
import yaml

from building.chart import installed
from generate_chart import CHART

OPERATOR = "system:serviceaccount:isobench:isobench-operator"
GROUP = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io"}
TENANTS = [{"namespace": name, "create": True, "subjects": [GROUP | {"name": name}]} for name in ("team-a", "team-b")]


class Asked(NamedTuple):
    """May ``who`` do this?"""

    who: str
    verb: str
    resource: str
    group: str
    namespace: str
    groups: tuple[str, ...] = ()

    def review(self):
        """The question as the API server takes it."""
        resource, _, below = self.resource.partition("/")
        attributes = {"verb": self.verb, "group": self.group, "resource": resource, "namespace": self.namespace}
        attributes |= {"subresource": below} if below else {}
        spec = {"user": self.who, "groups": list(self.groups), "resourceAttributes": attributes}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def rules(file):
    """What a file of the chart grants: (verb, resource, group)."""
    return [
        (verb, resource, group)
        for rule in yaml.safe_load((CHART / "files" / file).read_text(encoding="utf-8"))
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


NEEDED = rules("operator-rules.yaml")
ITS_POLICIES = rules("cluster-rules.yaml")
FORBIDDEN_TO_THE_OPERATOR = [
    ("get", "secrets", ""),
    ("list", "secrets", ""),
    ("create", "pods", ""),
    ("create", "pods/exec", ""),
    ("get", "pods/log", ""),
    ("delete", "namespaces", ""),
    ("create", "serviceaccounts/token", ""),
    ("create", "rolebindings", "rbac.authorization.k8s.io"),
    ("impersonate", "users", ""),
    ("update", "commitbenchmarks", "isobench.dev"),
]
# What a member of team-a may do in its own namespace; in team-b and in the release's namespace none of it.
OWN = [
    ("create", "commitbenchmarkbatches", "isobench.dev"),
    ("get", "commitbenchmarks", "isobench.dev"),
    ("create", "secrets", ""),
    ("get", "secrets", ""),
    ("get", "pods/log", ""),
]
NOBODYS = [
    ("update", "resourcequotas", ""),
    ("delete", "networkpolicies", "networking.k8s.io"),
    ("create", "networkpolicies", "networking.k8s.io"),
    ("create", "pods", ""),
    ("update", "commitbenchmarks/status", "isobench.dev"),
]


@pytest.fixture(scope="module", params=["cluster", "tenants"])
def scope(request, chart, api, kubectl):
    """A release of either scope that serves two teams."""
    with installed(chart, api.kubeconfig, kubectl, {"scope": request.param, "tenants": TENANTS}):
        yield request.param


@pytest.fixture(scope="module")
def allowed(kubectl):
    """Those of the questions that the API server answers with yes."""

    def allowed(questions):
        reviews = yaml.safe_dump_all([question.review() for question in questions])
        answers = kubectl("create", "-f", "-", "--output", "jsonpath={.status.allowed}{'\\n'}", input=reviews)
        assert len(answers.split()) == len(questions)
        return [question for question, answer in zip(questions, answers.split(), strict=True) if answer == "true"]

    return allowed


def of_operator(asked, namespace):
    return [Asked(OPERATOR, *one, namespace) for one in asked]


def of_alice(asked, namespace):
    return [Asked("alice", *one, namespace, ("team-a",)) for one in asked]


def test_the_operator_may_do_what_its_code_asks_for_and_nothing_worse(scope, allowed):
    needed = of_operator(NEEDED, "team-a")
    assert allowed(needed + of_operator(FORBIDDEN_TO_THE_OPERATOR, "team-a")) == needed


def test_the_operator_makes_policies_only_where_the_chart_does_not(scope, allowed):
    asked = of_operator(ITS_POLICIES, "team-a")
    assert allowed(asked) == (asked if scope == "cluster" else [])


def test_the_operator_of_scope_tenants_has_no_rights_elsewhere(scope, allowed):
    elsewhere = of_operator(NEEDED, "kube-system")
    assert allowed(elsewhere) == (elsewhere if scope == "cluster" else [])


def test_its_lease_and_accounts_are_at_home_only(scope, allowed):
    asked = [("update", "leases", "coordination.k8s.io"), ("create", "configmaps", "")]
    at_home = of_operator(asked, "isobench")
    assert allowed(at_home + of_operator(asked, "team-a")) == at_home


def test_a_team_may_do_what_is_its_own_and_nothing_of_anothers(scope, allowed):
    own = of_alice(OWN, "team-a")
    others = [question for place in ("team-b", "isobench") for question in of_alice(OWN + NOBODYS, place)]
    assert allowed(own + of_alice(NOBODYS, "team-a") + others) == own


def test_a_team_can_not_forge_a_status(scope, kubectl):
    made = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark", "metadata": {"name": "one"}}
    spec = {"repository": {"url": "https://host.example/r.git"}, "commits": {"head": "a" * 40}}
    alice = ("--as", "alice", "--as-group", "team-a", "--namespace", "team-a")
    kubectl("create", *alice, "-f", "-", input=json.dumps(made | {"spec": spec | {"output": {"store": "s3://b/p"}}}))
    forged = ("patch", "cb", "one", "--type=merge", "--patch", '{"status": {"cost": {"measuredUsd": 0}}}')
    assert "forbidden" in kubectl(*forged, "--subresource=status", *alice, check=False)
    kubectl(*forged, *alice)
    assert kubectl("get", "cb", "one", *alice, "--output", "jsonpath={.status}") == ""
