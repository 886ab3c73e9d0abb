"""Which release serves what: two may not serve the same objects, and the second says why it does not start."""

from datetime import UTC, datetime, timedelta

import pytest

from isobench.controller.scope import ScopeTaken, lease_metadata, refuse_overlap, serves
from isobench.controller.settings import ControllerSettings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def release(name, *namespaces, place="ops", controller="isobench"):
    return ControllerSettings(release=name, release_namespace=place, namespaces=namespaces, controller_name=controller)


def lease(settings, *, renewed=NOON, acquired=NOON, holder="pod-1"):
    return {
        "metadata": lease_metadata(settings),
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "acquireTime": acquired.isoformat(),
            "renewTime": renewed.isoformat(),
        },
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "shared"),
    [
        (release("one"), release("two"), "all namespaces"),
        (release("one", "team-a"), release("two"), "team-a"),
        (release("one"), release("two", "team-b", "team-a"), "team-a, team-b"),
        (release("one", "team-a", "team-b"), release("two", "team-b"), "team-b"),
        (release("one", place="here"), release("one", place="there"), "all namespaces"),
    ],
)
def test_a_release_that_would_share_objects_is_refused_with_what_to_do(ours, theirs, shared):
    with pytest.raises(ScopeTaken, match=f"in {shared}: give one of the two another --controller-name"):
        refuse_overlap(ours, [lease(theirs)], NOON)


@pytest.mark.parametrize(
    "leases",
    [
        [],
        [lease(release("one"))],
        [lease(release("two", "team-b"))],
        [lease(release("two"), renewed=NOON - timedelta(seconds=16))],
        [lease(release("two"), holder="")],
    ],
    ids=["nobody", "another replica", "other namespaces", "died long ago", "let go"],
)
def test_a_release_starts_when_nobody_alive_shares_its_objects(leases):
    refuse_overlap(release("one", "team-a"), leases, NOON)


def test_of_two_that_start_together_the_later_gives_way():
    earlier, later = release("one"), release("two")
    leases = [lease(earlier, acquired=NOON - timedelta(seconds=1)), lease(later)]
    refuse_overlap(earlier, leases, NOON)
    with pytest.raises(ScopeTaken, match="ops/one"):
        refuse_overlap(later, leases, NOON)


@pytest.mark.parametrize(
    ("named", "namespace", "ours"),
    [(None, "team-a", True), ("isobench", "team-a", True), ("other", "team-a", False), (None, "team-b", False)],
)
def test_an_object_is_served_by_its_controller_name_and_namespace(named, namespace, ours):
    item = {"metadata": {"namespace": namespace}, "spec": {"controllerName": named} if named else {}}
    assert serves(release("one", "team-a"), item) is ours


def test_an_object_without_a_controller_name_is_not_for_a_release_with_another():
    item = {"metadata": {"namespace": "team-a"}, "spec": {}}
    assert not serves(release("one", controller="nightly"), item)


def test_a_batch_is_served_by_the_controller_name_of_its_template():
    batch = {"metadata": {"namespace": "team-a"}, "spec": {"commits": [], "template": {"controllerName": "nightly"}}}
    assert serves(release("one", controller="nightly"), batch)
    assert not serves(release("one"), batch)
