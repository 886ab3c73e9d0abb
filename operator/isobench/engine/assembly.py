"""The record of one item, assembled from what its stages found."""

import re
import statistics
from collections.abc import Sequence

from isobench.contracts.prepared import Prepared, PreparedArm
from isobench.contracts.record import ApiSummary, Arm, Durations, Measurement, Record
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.status import Cost
from isobench.contracts.timed import Timed

RECORDED_ARMS: tuple[Arm, ...] = ("base", "head", "main")


def assemble(
    spec: CommitBenchmarkSpec,
    prepared: Prepared,
    test: str,
    timed: Timed,
    architecture: str,
    folder: str,
) -> Record:
    """The offline record.

    Samples of the control and of an agent are no part of its durations. ``folder`` is the item's, relative to the work
    root or to the store, so that a published record names no place of one machine.
    """
    commits = prepared.commits
    recorded = {arm: timed.durations.get(arm, []) for arm in RECORDED_ARMS}
    return Record(
        repo=commits.repo,
        instance_id=commits.instance_id,
        created_at=commits.created_at,
        base_commit=commits.base_commit,
        head_commit=commits.head_commit,
        patch=commits.patch,
        efficiency_test=[test],
        duration_changes=[Durations(base=recorded["base"], head=recorded["head"], main=recorded["main"])],
        human_performance=human_performance(recorded["base"], recorded["head"]),
        version=version_of(prepared.arm("base"), architecture, _image(spec, prepared)),
        api=spec.api,
        gt_commit_message=commits.message,
        setup_commands=spec.environment.setup_commands,
        install_commands=spec.environment.install_commands,
        api_manifest_paths=_manifests(prepared, folder),
        api_manifest_summaries=_summaries(prepared),
        test_failed="No" if all(recorded.values()) else "Yes",
        measurement=timed.measurement,
    )


def with_cost(measurement: Measurement | None, cost: Cost) -> Measurement | None:
    """``measurement`` with what the item's model calls cost; without, where there were none."""
    if measurement is None or cost == Cost():
        return measurement
    dollars = {"measured_usd": cost.measured_usd, "estimate_usd": cost.estimate_usd}
    return measurement.model_copy(update={"cost": dollars})


def human_performance(base: Sequence[float], head: Sequence[float]) -> float | None:
    """mean(base) / mean(head); None when either is missing or head's mean is zero."""
    if not base or not head or statistics.fmean(head) == 0:
        return None
    return statistics.fmean(base) / statistics.fmean(head)


def version_of(arm: PreparedArm | None, architecture: str, image: str | None) -> str:
    """`python==<x.y.z>;arch=<machine>;image=<image or local>;install_sha=<na or hash>` of the base arm."""
    python = arm.python_version if arm is not None and arm.python_version else "unknown"
    install = arm.install_sha if arm is not None and arm.install_sha else "na"
    return f"python=={python};arch={architecture};image={image or 'local'};install_sha={install}"


def needs_gpu(script: str) -> bool:
    """Whether the test asks for a CUDA device in so many words."""
    return re.search(r"\.cuda\(|torch\.cuda\.|device\s*=\s*['\"]cuda|\.to\(['\"]cuda", script) is not None


def _image(spec: CommitBenchmarkSpec, prepared: Prepared) -> str | None:
    """The image by the name that a person gave it, else as isobench knows it; None where none was used."""
    return prepared.image and (spec.environment.image or prepared.image)


def _manifests(prepared: Prepared, folder: str) -> dict[Arm, str] | None:
    taken = (arm for arm in prepared.arms if arm.name in RECORDED_ARMS and arm.api_manifest)
    return {arm.name: f"{folder}/{arm.api_manifest}" for arm in taken} or None


def _summaries(prepared: Prepared) -> dict[Arm, ApiSummary] | None:
    return {arm.name: arm.api_summary for arm in prepared.arms if arm.name in RECORDED_ARMS and arm.api_summary} or None
