"""The first half of prepare, and the only one with git: commits' facts, the supplied test, every arm's plain tree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.files import write_text
from isobench.adapters.git.repositories import RepoManager
from isobench.contracts.prepared import CommitSummary, Fetched, FetchedArm
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.record import Arm
from isobench.contracts.spec import CommitBenchmarkSpec, RepositorySpec
from isobench.engine.assembly import needs_gpu
from isobench.engine.identity import instance_id
from isobench.engine.workspace import Workspace


@dataclass(frozen=True)
class FetchPorts:
    """What fetching reaches the outside world by."""

    workspace: Workspace
    repository: Callable[[RepositorySpec], RepoManager]
    main_commit: Callable[[RepoManager, RepositorySpec], str]
    trees: Path
    supplied_test: Callable[[str], str | None]
    recorded: Callable[[str, str], bool]
    has_gpu: bool
    tell: Callable[[str], None]


def fetch(spec: CommitBenchmarkSpec, ports: FetchPorts) -> Fetched:
    """Leave `test.py` where a test was supplied, and the trees.

    Raises:
        ItemFailure: the commits can't be had, the test can't be used, or the dataset has the record.
    """
    ports.tell("fetching")
    repository = ports.repository(spec.repository)
    repository.ensure_base()
    head = repository.resolve(spec.commits.head)
    base = repository.resolve(spec.commits.base) if spec.commits.base else repository.first_parent(head)
    supplied = _place_test(spec, head, ports)
    main = ports.main_commit(repository, spec.repository)
    _skip_recorded(repository, head, ports)
    commits, notes = _summarise(repository, base, head, main)
    repository.fetch_contents(base, head, main)
    arms, gaps = _export_arms(spec, repository, commits, ports)
    return Fetched(
        commits=commits,
        arms=arms,
        base_version=repository.describe_version(base),
        test_supplied=supplied,
        notes=[*notes, *gaps],
    )


def _skip_recorded(repository: RepoManager, head: str, ports: FetchPorts) -> None:
    repo = repository.slug()
    if ports.recorded(repo, head):
        raise ItemFailure(Reason.ALREADY_RECORDED, f"the dataset already holds a record for {repo} {head[:12]}")


def _place_test(spec: CommitBenchmarkSpec, head: str, ports: FetchPorts) -> bool:
    test = spec.test.inline if spec.test.inline is not None else ports.supplied_test(head)
    if test is None:
        if spec.test.generate is None:
            raise ItemFailure(Reason.NO_TEST, f"there is no test for {head[:12]}: give one, or turn generation on")
        return False
    if not test.strip():
        raise ItemFailure(Reason.TEST_INVALID, f"the test for {head[:12]} is empty: write one that prints its time")
    if needs_gpu(test) and not ports.has_gpu:
        raise ItemFailure(Reason.NEEDS_GPU, f"the test for {head[:12]} asks for CUDA and this machine has no GPU")
    try:
        compile(test, "test.py", "exec")
    except (SyntaxError, ValueError) as error:
        raise ItemFailure(Reason.TEST_INVALID, f"the test for {head[:12]} is not Python: {error}") from None
    write_text(ports.workspace.test, test)
    return True


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


def _export_arms(
    spec: CommitBenchmarkSpec, repository: RepoManager, commits: CommitSummary, ports: FetchPorts
) -> tuple[list[FetchedArm], list[str]]:
    """Every arm's tree, base first, and what a reader should know of them."""
    assert commits.main_commit is not None  # it was just resolved
    arms: list[FetchedArm] = []
    notes: list[str] = []
    for name, commit in _arms(spec, commits.base_commit, commits.head_commit, commits.main_commit):
        tree_hash = repository.tree_hash(commit)
        export = repository.export_tree(commit, ports.trees / f"{tree_hash[:16]}-{replica_of(name)}")
        notes += [f"{name}: the submodule {path} could not be had and is empty" for path in export.missing_submodules]
        notes += [f"{name}: the link {path} leads out of the tree" for path in export.outside_links]
        arms.append(
            FetchedArm(
                name=name,
                commit=commit,
                tree=str(export.path),
                tree_hash=tree_hash,
                committed_at=repository.commit(commit).committed_at,
            )
        )
    return arms, notes


def replica_of(arm: Arm) -> int:
    """1 for the control: base's code once more, with a tree and a build of its own."""
    return 1 if arm == "control" else 0
