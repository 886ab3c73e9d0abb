"""Which objects a release serves, written on its Lease, and whether another release serves some of the same."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from isobench.controller.kinds import CONTROLLER_LABEL, Object
from isobench.controller.settings import ControllerSettings

RELEASE_ANNOTATION = "isobench.dev/release"
NAMESPACES_ANNOTATION = "isobench.dev/namespaces"

_ALL = "*"


class ScopeTaken(Exception):
    """Another release serves some of the same objects; the message says which, and what to do."""


def lease_name(settings: ControllerSettings) -> str:
    """The Lease that the release's replicas compete for."""
    return f"isobench-{settings.controller_name}"


def lease_metadata(settings: ControllerSettings) -> Object:
    """The Lease's metadata: whose it is, and what it stands for."""
    return {
        "name": lease_name(settings),
        "namespace": settings.release_namespace,
        "labels": {"app.kubernetes.io/name": "isobench", CONTROLLER_LABEL: settings.controller_name},
        "annotations": {
            RELEASE_ANNOTATION: release_of(settings),
            NAMESPACES_ANNOTATION: ",".join(settings.namespaces) or _ALL,
        },
    }


def release_of(settings: ControllerSettings) -> str:
    """The release's name, unique in the cluster."""
    return f"{settings.release_namespace}/{settings.release}"


def refuse_overlap(settings: ControllerSettings, leases: Iterable[Object], now: datetime) -> None:
    """Check the live ``leases`` of this controller name; ours counts as the last unless it is among them, and older.

    Raises:
        ScopeTaken: another release was there first and shares a namespace with this one.
    """
    leases = list(leases)
    ours = next((lease for lease in leases if _release(lease) == release_of(settings)), None)
    for lease in leases:
        if _release(lease) == release_of(settings) or not _live(lease, now):
            continue
        if ours is not None and _live(ours, now) and _began(ours) < _began(lease):
            continue
        if shared := _shared(settings.namespaces, _namespaces(lease)):
            raise ScopeTaken(
                f"release {_release(lease)} already serves controllerName {settings.controller_name!r} in {shared}: "
                "give one of the two another --controller-name, or namespaces of its own"
            )


def _release(lease: Object) -> str:
    annotations = lease["metadata"].get("annotations", {})
    return str(annotations.get(RELEASE_ANNOTATION, f"{lease['metadata']['namespace']}/{lease['metadata']['name']}"))


def _namespaces(lease: Object) -> tuple[str, ...]:
    written = lease["metadata"].get("annotations", {}).get(NAMESPACES_ANNOTATION, _ALL)
    return () if written == _ALL else tuple(written.split(","))


def _shared(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """The namespaces that both watch, for a sentence; nothing if there are none. None named is all."""
    if not ours and not theirs:
        return "all namespaces"
    return ", ".join(sorted(set(ours) & set(theirs) if ours and theirs else set(ours or theirs)))


def _live(lease: Object, now: datetime) -> bool:
    spec = lease.get("spec", {})
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return False
    return now < datetime.fromisoformat(spec["renewTime"]) + timedelta(seconds=spec["leaseDurationSeconds"])


def _began(lease: Object) -> tuple[str, str]:
    return lease["spec"].get("acquireTime", ""), _release(lease)


def serves(settings: ControllerSettings, found: Object) -> bool:
    """Whether an item or a batch is for this release: by its (template's) `controllerName` and its namespace."""
    spec = found["spec"]
    named = spec.get("template", spec).get("controllerName") or ControllerSettings.controller_name
    return named == settings.controller_name and settings.watches(found["metadata"]["namespace"])
