"""The second half of prepare: every arm's environment and its public names. Nothing of git is needed any more."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.files import write_model, write_text
from isobench.adapters.isolation import machine_lock
from isobench.adapters.python.api_snapshot import take_snapshot
from isobench.adapters.python.built_environment import BuildRequest, BuiltEnvironment
from isobench.adapters.python.environments import EnvironmentBuilder
from isobench.adapters.python.finished_environments import looks_of, untouched
from isobench.contracts.prepared import Fetched, FetchedArm, Prepared, PreparedArm
from isobench.contracts.reasons import ItemFailure
from isobench.contracts.record import ApiSummary, Arm
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.engine.workspace import Workspace
from isobench.stages.attempt import Done
from isobench.stages.fetch import replica_of


@dataclass(frozen=True)
class BuildPorts:
    """What building reaches the outside world by."""

    workspace: Workspace
    builder: EnvironmentBuilder
    image: str | None
    tell: Callable[[str], None]


def build(spec: CommitBenchmarkSpec, fetched: Fetched, ports: BuildPorts) -> Done:
    """Leave `prepared.json`; base is built first: the others keep its Python and its dependencies as far as they can.

    Raises:
        ItemFailure: base or head can't be built; any other arm is left out instead. Or a build wrote to what was built.
    """
    like: BuiltEnvironment | None = None
    arms: list[PreparedArm] = []
    looks: dict[str, str] = {}
    notes: list[str] = []
    for arm in fetched.arms:
        ports.tell(f"building {arm.name}")
        with untouched(arms, looks, f"{arm.name} was built"):
            prepared_arm, built = _build_arm(spec, fetched, arm, like, ports)
        arms.append(prepared_arm)
        looks |= looks_of([prepared_arm])
        if built is not None:
            like = like or built
            notes += [f"{arm.name}: {note}" for note in built.notes]
    notes = [*fetched.notes, *notes, *(f"the arm {a.name} was left out: {a.message}" for a in arms if not a.ready)]
    prepared = Prepared(
        commits=fetched.commits,
        arms=arms,
        image=ports.image,
        base_version=fetched.base_version,
        test_supplied=fetched.test_supplied,
        canary=fetched.canary,
        notes=notes,
    )
    write_model(ports.workspace.prepared, prepared)
    return Done(facts={"instance_id": fetched.commits.instance_id, "repo": fetched.commits.repo})


def _build_arm(
    spec: CommitBenchmarkSpec, fetched: Fetched, arm: FetchedArm, like: BuiltEnvironment | None, ports: BuildPorts
) -> tuple[PreparedArm, BuiltEnvironment | None]:
    try:
        with machine_lock.building():
            built = ports.builder.build(build_request(spec, fetched, arm, like))
            return _ready(arm, built, ports), built
    except ItemFailure as failure:
        if arm.name in ("base", "head"):
            raise ItemFailure(failure.reason, f"{arm.name} {arm.commit[:12]}: {failure.message}") from None
        return _unready(arm, failure), None


def build_request(
    spec: CommitBenchmarkSpec, fetched: Fetched, arm: FetchedArm, like: BuiltEnvironment | None
) -> BuildRequest:
    """What is asked of the builder for ``arm``; ``like`` is base's environment, None for base itself."""
    return BuildRequest(
        tree=Path(arm.tree),
        tree_hash=arm.tree_hash,
        distribution=fetched.commits.repo.rpartition("/")[2],
        spec=spec.environment,
        version=fetched.base_version,
        replica=replica_of(arm.name),
        like=like,
        committed_at=arm.committed_at,
    )


def _ready(arm: FetchedArm, built: BuiltEnvironment, ports: BuildPorts) -> PreparedArm:
    summary = None
    if arm.name != "control":  # the control is base's code: its names are base's
        summary = _snapshot(arm.name, Path(arm.tree), built, ports)
    manifest = ports.workspace.api("base" if arm.name == "control" else arm.name)
    return PreparedArm(
        name=arm.name,
        commit=arm.commit,
        tree=arm.tree,
        environment=str(built.path),
        python=str(built.python),
        python_version=built.python_version,
        install_sha=built.install_sha,
        api_manifest=str(manifest.relative_to(ports.workspace.root)) if manifest.exists() else None,
        api_summary=summary,
    )


def _snapshot(name: Arm, tree: Path, built: BuiltEnvironment, ports: BuildPorts) -> ApiSummary | None:
    snapshot = take_snapshot(built, tree, run_command=ports.builder.run_command)
    if snapshot is None:
        return None
    write_text(ports.workspace.api(name), snapshot.path.read_text(encoding="utf-8"))
    return snapshot.summary


def _unready(arm: FetchedArm, failure: ItemFailure) -> PreparedArm:
    return PreparedArm(name=arm.name, commit=arm.commit, tree=arm.tree, reason=failure.reason, message=failure.message)
