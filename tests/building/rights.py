"""Rights and their use: what the chart's roles grant, and what the API server's audit log says was done by them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from isobench.controller.kinds import Kind

ROLES = Kind("rbac.authorization.k8s.io", "v1", "roles", "Role")
CLUSTER_ROLES = Kind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
REVIEWS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")
_BY = re.compile(r'of (?P<kind>Role|ClusterRole) "(?P<role>[^"]+)"')


class Right(NamedTuple):
    """One verb of one rule of a role."""

    role: str
    group: str
    resource: str
    verb: str


class Asked(NamedTuple):
    """One request, as the audit log has it: by which right it was allowed, or by none."""

    right: Right
    namespace: str
    allowed: bool

    def review(self, user: str, groups: list[str]) -> dict[str, Any]:
        """The question whether ``user`` may do this."""
        resource, _, below = self.right.resource.partition("/")
        attributes = {"verb": self.right.verb, "group": self.right.group, "resource": resource, "subresource": below}
        attributes |= {"namespace": self.namespace}
        spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
        return {"metadata": {}, "spec": spec}


def granted(role: dict[str, Any]) -> set[Right]:
    """Every right in ``role``."""
    return {
        Right(role["metadata"]["name"], group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def without(role: dict[str, Any], right: Right) -> dict[str, Any]:
    """``role`` without that one right."""
    kept = sorted(granted(role) - {right})
    rules = [{"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]} for one in kept]
    return role | {"rules": rules}


def asked(audit_log: Path) -> Iterator[Asked]:
    """Every request for an object in the log; the role is empty where no rule allowed it."""
    for line in audit_log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        about = event.get("objectRef")
        if about is None:
            continue
        notes = event.get("annotations", {})
        by = _BY.search(notes.get("authorization.k8s.io/reason", ""))
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        right = Right(by["role"] if by else "", about.get("apiGroup", ""), resource, event["verb"])
        yield Asked(right, about.get("namespace", ""), notes.get("authorization.k8s.io/decision") == "allow")
