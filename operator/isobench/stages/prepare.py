"""prepare: fetch the commits, take the supplied test, build every arm's environment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.files import write_model, write_text
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.isolation import machine_lock
from isobench.adapters.python.api_snapshot import take_snapshot
from isobench.adapters.python.built_environment import BuildRequest, BuiltEnvironment
from isobench.adapters.python.environments import EnvironmentBuilder
from isobench.contracts.prepared import CommitSummary, Prepared, PreparedArm
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.record import ApiSummary, Arm
from isobench.contracts.spec import CommitBenchmarkSpec, RepositorySpec
from isobench.contracts.stage import StageRequest, StageResult
from isobench.engine.assembly import needs_gpu
from isobench.engine.identity import instance_id
from isobench.engine.workspace import Workspace
from isobench.stages.attempt import Clock, Done, attempt


@dataclass(frozen=True)
class PreparePorts:
    """What `prepare` reaches the outside world by."""

    workspace: Workspace
    clock: Clock
    repository: Callable[[RepositorySpec], RepoManager]
    main_commit: Callable[[RepoManager, RepositorySpec], str]
    builder: EnvironmentBuilder
    image: str | None
    trees: Path
    supplied_test: Callable[[str], str | None]
    recorded: Callable[[str, str], bool]
    has_gpu: bool
    tell: Callable[[str], None]


def run(request: StageRequest, ports: PreparePorts) -> StageResult:
    """Leave `prepared.json`, and `test.py` where a test was supplied."""
    return attempt(request, ports.clock, ports.workspace.root, lambda: _prepare(request.spec, ports))


def _prepare(spec: CommitBenchmarkSpec, ports: PreparePorts) -> Done:
    ports.tell("fetching")
    repository = ports.repository(spec.repository)
    repository.ensure_base()
    head = repository.resolve(spec.commits.head)
    base = repository.resolve(spec.commits.base) if spec.commits.base else repository.first_parent(head)
    _place_test(spec, head, ports)
    main = ports.main_commit(repository, spec.repository)
    _skip_recorded(repository, head, ports)
    commits, notes = _summarise(repository, base, head, main)
    arms, more = _build_arms(spec, repository, base, head, main, ports)
    notes += more
    notes += [f"the arm {arm.name} was left out: {arm.message}" for arm in arms if not arm.ready]
    write_model(ports.workspace.prepared, Prepared(commits=commits, arms=arms, image=ports.image, notes=notes))
    return Done(facts={"instance_id": commits.instance_id, "repo": commits.repo})


def _skip_recorded(repository: RepoManager, head: str, ports: PreparePorts) -> None:
    repo = repository.slug()
    if ports.recorded(repo, head):
        raise ItemFailure(Reason.ALREADY_RECORDED, f"the dataset already holds a record for {repo} {head[:12]}")


def _place_test(spec: CommitBenchmarkSpec, head: str, ports: PreparePorts) -> None:
    test = spec.test.inline if spec.test.inline is not None else ports.supplied_test(head)
    if test is None:
        if spec.test.generate is None:
            raise ItemFailure(Reason.NO_TEST, f"there is no test for {head[:12]}: give one, or turn generation on")
        return
    if not test.strip():
        raise ItemFailure(Reason.TEST_INVALID, f"the test for {head[:12]} is empty: write one that prints its time")
    if needs_gpu(test) and not ports.has_gpu:
        raise ItemFailure(Reason.NEEDS_GPU, f"the test for {head[:12]} asks for CUDA and this machine has no GPU")
    try:
        compile(test, "test.py", "exec")
    except (SyntaxError, ValueError) as error:
        raise ItemFailure(Reason.TEST_INVALID, f"the test for {head[:12]} is not Python: {error}") from None
    write_text(ports.workspace.test, test)


def _summarise(repository: RepoManager, base: str, head: str, main: str) -> tuple[CommitSummary, list[str]]:
    facts = repository.commit(head)
    repo = repository.slug()
    notes = []
    if facts.is_merge:
        notes.append(f"{head[:12]} is a merge commit: base is its first parent unless another was given")
    if base not in facts.parents[:1]:
        notes.append(f"base {base[:12]} is not head's first parent: the patch is the difference of the two")
    patch = repository.diff(base, head)
    if not patch.is_utf8:
        notes.append("the patch holds bytes that are not UTF-8; the record shows U+FFFD in their place")
    subjects = repository.merge_subjects(head, main)
    summary = CommitSummary(
        repo=repo,
        instance_id=instance_id(repo, head, subjects),
        created_at=facts.committed_at.isoformat(),
        base_commit=base,
        head_commit=head,
        main_commit=main,
        patch=patch.text,
        message=facts.message,
        subject=facts.subject,
    )
    return summary, notes


def _arms(spec: CommitBenchmarkSpec, base: str, head: str, main: str) -> Sequence[tuple[Arm, str]]:
    arms: list[tuple[Arm, str]] = [("base", base), ("head", head), ("main", main)]
    if spec.timing.protocol == "blocks":
        arms.append(("control", base))
    return arms


def _build_arms(
    spec: CommitBenchmarkSpec, repository: RepoManager, base: str, head: str, main: str, ports: PreparePorts
) -> tuple[list[PreparedArm], list[str]]:
    """Every arm, base first: the others keep its Python and its dependencies as far as they allow."""
    repository.fetch_contents(base, head, main)
    version = repository.describe_version(base)
    like: BuiltEnvironment | None = None
    arms: list[PreparedArm] = []
    notes: list[str] = []
    for name, commit in _arms(spec, base, head, main):
        ports.tell(f"building {name}")
        tree, tree_hash, gaps = _export(repository, commit, 1 if name == "control" else 0, ports)
        notes += [f"{name}: {gap}" for gap in gaps]
        request = BuildRequest(
            tree=tree,
            tree_hash=tree_hash,
            distribution=repository.slug().rpartition("/")[2],
            spec=spec.environment,
            version=version,
            replica=1 if name == "control" else 0,
            like=like,
            committed_at=repository.commit(commit).committed_at,
        )
        try:
            with machine_lock.building():
                built = ports.builder.build(request)
                arms.append(_ready(name, commit, tree, built, ports))
        except ItemFailure as failure:
            if name in ("base", "head"):
                raise ItemFailure(failure.reason, f"{name} {commit[:12]}: {failure.message}") from None
            arms.append(_unready(name, commit, tree, failure))
            continue
        like = like or built
        notes += [f"{name}: {note}" for note in built.notes]
    return arms, notes


def _export(repository: RepoManager, commit: str, replica: int, ports: PreparePorts) -> tuple[Path, str, Sequence[str]]:
    """The commit's plain tree, the hash of its content, and what a reader should know of it."""
    tree_hash = repository.tree_hash(commit)
    export = repository.export_tree(commit, ports.trees / f"{tree_hash[:16]}-{replica}")
    gaps = [f"the submodule {path} could not be had and is empty" for path in export.missing_submodules]
    gaps += [f"the link {path} leads out of the tree" for path in export.outside_links]
    return export.path, tree_hash, gaps


def _ready(name: Arm, commit: str, tree: Path, built: BuiltEnvironment, ports: PreparePorts) -> PreparedArm:
    summary = None
    if name != "control":  # the control is base's code: its names are base's
        summary = _snapshot(name, tree, built, ports)
    manifest = ports.workspace.api("base" if name == "control" else name)
    return PreparedArm(
        name=name,
        commit=commit,
        tree=str(tree),
        environment=str(built.path),
        python=str(built.python),
        python_version=built.python_version,
        install_sha=built.install_sha,
        api_manifest=str(manifest.relative_to(ports.workspace.root)) if manifest.exists() else None,
        api_summary=summary,
    )


def _snapshot(name: Arm, tree: Path, built: BuiltEnvironment, ports: PreparePorts) -> ApiSummary | None:
    snapshot = take_snapshot(built, tree, run_command=ports.builder.run_command)
    if snapshot is None:
        return None
    write_text(ports.workspace.api(name), snapshot.path.read_text(encoding="utf-8"))
    return snapshot.summary


def _unready(name: Arm, commit: str, tree: Path, failure: ItemFailure) -> PreparedArm:
    return PreparedArm(name=name, commit=commit, tree=str(tree), reason=failure.reason, message=failure.message)
