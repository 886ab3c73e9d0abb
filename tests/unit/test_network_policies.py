"""Which network policies open isolated pods again: policies only ever add up."""

import pytest

from building.objects import policy
from isobench.controller.jobs.policies import denies_all, deny_all, opening, selects

POD = {"isobench.dev/network": "none", "isobench.dev/item": "fix-123", "team": "a"}
ANYWHERE = {"egress": [{}]}


def test_ours_denies_everything_to_isolated_pods_only():
    ours = deny_all("team-a")
    assert denies_all(ours)
    assert selects(ours["spec"]["podSelector"], POD)
    assert not selects(ours["spec"]["podSelector"], {"team": "a"})


@pytest.mark.parametrize(
    "changed",
    [
        {"egress": [{}]},
        {"ingress": [{}]},
        {"policyTypes": ["Ingress"]},
        {"podSelector": {"matchLabels": {"isobench.dev/network": "some"}}},
    ],
)
def test_ours_changed_by_hand_denies_no_more(changed):
    ours = deny_all("team-a")
    assert not denies_all(ours | {"spec": ours["spec"] | changed})


@pytest.mark.parametrize(
    ("found", "opens"),
    [
        (policy("all", **ANYWHERE), True),
        (policy("ingress", ingress=[{}]), True),
        (policy("team", {"matchLabels": {"team": "a"}}, **ANYWHERE), True),
        (policy("in", {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]}, **ANYWHERE), True),
        (policy("newer", {"matchExpressions": [{"key": "team", "operator": "Like"}]}, **ANYWHERE), True),
        (policy("deny"), False),
        (policy("other", {"matchLabels": {"team": "b"}}, **ANYWHERE), False),
        (
            policy(
                "not-isolated",
                {"matchExpressions": [{"key": "isobench.dev/network", "operator": "DoesNotExist"}]},
                **ANYWHERE,
            ),
            False,
        ),
        (
            policy("not-in", {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}, **ANYWHERE),
            False,
        ),
        (policy("exists", {"matchExpressions": [{"key": "team", "operator": "Exists"}]}, **ANYWHERE), True),
    ],
    ids=lambda value: value["metadata"]["name"] if isinstance(value, dict) else str(value),
)
def test_a_policy_opens_what_it_selects_and_allows_anything_to(found, opens):
    assert opening([found, deny_all("team-a")], POD) == ([found["metadata"]["name"]] if opens else [])
