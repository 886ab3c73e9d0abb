"""Least privilege: the chart's rules are exactly what the controller's code asks of the API server, verb by verb."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from generate_chart import CHART
from isobench.controller import kinds
from isobench.controller.api import Api

CONTROLLER = Path(kinds.__file__).parent
RULES = ("operator-rules.yaml", "cluster-rules.yaml", "home-rules.yaml", "tenants-home-rules.yaml")
HOME = {kinds.LEASES, kinds.CONFIG_MAPS}
VERBS = {
    "get": "get",
    "list": "list",
    "pages": "list",
    "watch": "watch",
    "create": "create",
    "delete": "delete",
    "delete_all": "deletecollection",
    "replace": "update",
    "patch": "patch",
    "put_status": "update",
}
WITHOUT_A_KIND = {"event", "close"}
# Calls whose kind is a variable: what it can be there.
INDIRECT = {
    ("item_actions.py", "kind"): {kinds.JOBS, kinds.CLAIMS},
    ("batches.py", "kind"): {kinds.ITEMS, kinds.JOBS},
    ("work.py", "store.kind"): {kinds.ITEMS, kinds.BATCHES},
    ("reflector.py", "self._store.kind"): {kinds.ITEMS, kinds.BATCHES, kinds.JOBS, kinds.PODS},
}
# kopf watches our own kinds by itself; every Api may write Events.
OUTSIDE_API = {
    *((kind, "", verb) for kind in (kinds.ITEMS, kinds.BATCHES) for verb in ("list", "watch")),
    (kinds.EVENTS, "", "create"),
}


def calls() -> Iterator[tuple[str, str, ast.expr]]:
    """Every call of a method of an Api: the file, the method, the kind as it is written."""
    for path in sorted(CONTROLLER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            if node.func.attr in VERBS and ast.unparse(node.func.value).endswith("api"):
                yield path.name, node.func.attr, node.args[0]


def needed() -> set[tuple[kinds.Kind, str, str]]:
    """What the code asks for: (kind, subresource, verb)."""
    found = set(OUTSIDE_API)
    for file, method, kind in calls():
        written = ast.unparse(kind)
        asked = INDIRECT.get((file, written)) or {getattr(kinds, written)}
        verbs = ("list", "watch") if method == "watch" else (VERBS[method],)  # a watch begins with a list
        found |= {(one, "status" if method == "put_status" else "", verb) for one in asked for verb in verbs}
    return found


def granted(*files: str) -> set[tuple[str, str, str]]:
    """What the rules in ``files`` give: (group, resource, verb)."""
    return {
        (group, resource, verb)
        for file in files
        for rule in yaml.safe_load((CHART / "files" / file).read_text(encoding="utf-8"))
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def as_rules(asked: set[tuple[kinds.Kind, str, str]]) -> set[tuple[str, str, str]]:
    return {(kind.group, f"{kind.plural}/{below}" if below else kind.plural, verb) for kind, below, verb in asked}


def test_every_method_of_the_client_is_known_here():
    methods = {name for name in vars(Api) if not name.startswith("_")}
    assert methods == VERBS.keys() | WITHOUT_A_KIND


def test_every_call_says_its_kind_by_name_or_is_listed():
    for file, _, kind in calls():
        written = ast.unparse(kind)
        assert (file, written) in INDIRECT or hasattr(kinds, written), f"{file}: what can {written} be?"


LIST_LEASES = {("coordination.k8s.io", "leases", "list")}
"""Looking for other releases: cluster-wide, or in every namespace that a release serves and at home."""


def test_rules_where_items_are_give_what_is_asked_and_nothing_else():
    elsewhere = {(kind, below, verb) for kind, below, verb in needed() if kind not in HOME}
    assert granted("operator-rules.yaml", "cluster-rules.yaml") == as_rules(elsewhere) | LIST_LEASES


def test_where_tenants_are_listed_the_policies_are_the_charts():
    makes = {(kinds.NETWORK_POLICIES, "", verb) for verb in ("create", "update")}
    assert granted("cluster-rules.yaml") == as_rules(makes)
    assert not granted("operator-rules.yaml") & as_rules(makes)


def test_rules_at_home_give_what_is_asked_and_nothing_else():
    at_home = {(kind, below, verb) for kind, below, verb in needed() if kind in HOME}
    assert granted("home-rules.yaml", "tenants-home-rules.yaml") == as_rules(at_home)
    assert granted("tenants-home-rules.yaml") == LIST_LEASES


@pytest.mark.parametrize("resource", ["secrets", "pods/exec", "pods/log", "serviceaccounts", "nodes", "*"])
def test_the_operator_has_no_right_to(resource):
    assert not [rule for rule in granted(*RULES) if resource in rule]
