"""What isobench says of commits, checked against what an ordinary git says of the source repository."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from building.repositories import RepositoryBuilder, Symlink, git_at, git_bytes
from isobench.adapters.git.command import RepositoryError
from isobench.adapters.git.repositories import RepoManager
from isobench.contracts.reasons import Reason


@pytest.fixture
def project(tmp_path: Path) -> RepositoryBuilder:
    """Two pull requests merged into main, a rename, a binary file, and bytes that aren't UTF-8."""
    return (
        RepositoryBuilder(tmp_path / "owner" / "project")
        .commit("start\n\nwith a body\n\nand another", {"a.py": "x = 1\n", "old.py": "y = 1\n" * 20, "b.bin": b"\0\1"})
        .tag("v1.0")
        .branch("fast")
        .commit("make it fast", {"a.py": "x = 2\n", "old.py": None, "new.py": "y = 1\n" * 20, "b.bin": b"\0\2"})
        .tag("fast-head")
        .commit("latin", {"latin.txt": "caf\xe9\n".encode("latin-1")})
        .switch("main")
        .commit("meanwhile", {"c.py": "z = 1\n"})
        .merge("fast", "Merge pull request #12 from someone/fast")
        .branch("other")
        .commit("other", {"d.py": "d = 1\n"})
        .switch("main")
        .commit("more", {"e.py": "e = 1\n"})
        .merge("other", "Merge pull request #13 from someone/other")
    )


@pytest.fixture
def manager(tmp_path: Path, project: RepositoryBuilder) -> RepoManager:
    manager = RepoManager(tmp_path / "work", str(project.path), "owner/project")
    manager.ensure_base()
    return manager


def test_the_cache_is_a_bare_repository_named_by_repository_and_address(manager: RepoManager, tmp_path: Path) -> None:
    cache = manager.ensure_base()
    assert cache.parent == tmp_path / "work" / "repos"
    assert cache.name.startswith("owner__project-")
    assert git_at(cache, "rev-parse", "--is-bare-repository") == "true"


def test_one_source_has_one_cache_and_another_source_another(manager: RepoManager, tmp_path: Path) -> None:
    again = RepoManager(tmp_path / "work", f"file://{manager.source.path}", "owner/project")
    fork = RepositoryBuilder(tmp_path / "fork").commit()
    other = RepoManager(tmp_path / "work", str(fork.path), "owner/project")
    assert again.ensure_base() == manager.ensure_base() != other.ensure_base()


def test_facts_of_every_commit_are_those_that_git_shows(manager: RepoManager, project: RepositoryBuilder) -> None:
    for sha in project.git("rev-list", "--all").split():
        facts = manager.commit(sha)
        assert facts.sha == sha
        assert list(facts.parents) == project.git("show", "-s", "--format=%P", sha).split()
        assert facts.committed_at == datetime.fromisoformat(project.git("show", "-s", "--format=%cI", sha))
        assert facts.committed_at.tzinfo is UTC
        assert facts.subject == project.git("show", "-s", "--format=%s", sha)
        assert facts.message == project.git("show", "-s", "--format=%B", sha).strip()
        assert facts.tree == manager.tree_hash(sha) == project.sha(f"{sha}^{{tree}}")
        assert facts.is_merge == (len(facts.parents) == 2)


def test_patches_and_changed_files_of_every_pair_are_those_of_git_diff(
    manager: RepoManager, project: RepositoryBuilder
) -> None:
    for sha in project.git("rev-list", "--min-parents=1", "main").split():
        base = manager.first_parent(sha)
        assert base == project.sha(f"{sha}^")
        patch = manager.diff(base, sha)
        assert patch.content == git_bytes(project.path, "diff", "-p", f"{sha}^", sha)
        assert patch.text == patch.content.decode(errors="replace").strip()
        listed = project.git("diff", "--name-only", "--no-renames", f"{sha}^", sha).splitlines()
        assert manager.changed_files(base, sha) == listed


def test_a_patch_that_is_not_utf8_says_so(manager: RepoManager, project: RepositoryBuilder) -> None:
    latin = project.sha("fast")
    patch = manager.diff(f"{latin}^", latin)
    assert not patch.is_utf8
    assert "caf\ufffd" in patch.text
    assert manager.diff(project.sha("v1.0"), project.sha("fast-head")).is_utf8


def test_the_attributes_of_head_shape_the_patch_as_in_a_worktree_of_head(tmp_path: Path) -> None:
    function = "class A:\n    def f(self):\n" + "".join(f"        line{n}()\n" for n in range(9))
    project = (
        RepositoryBuilder(tmp_path / "project")
        .commit("start", {"a.py": function, "sub/data.min": "1\n", "sub/.gitattributes": "*.min -diff\n"})
        .commit("change", {".gitattributes": "*.py diff=python\n", "a.py": f"{function}# end\n", "sub/data.min": "2\n"})
    )
    manager = RepoManager(tmp_path / "work", str(project.path))
    manager.ensure_base()
    patch = manager.diff(f"{project.head}^", project.head)
    assert patch.content == git_bytes(project.path, "diff", "-p", "HEAD^", "HEAD")
    assert "def f(self):" in patch.text
    assert "Binary files a/sub/data.min and b/sub/data.min differ" in patch.text


def test_merges_that_name_the_pull_request_come_oldest_first(manager: RepoManager, project: RepositoryBuilder) -> None:
    head, main = project.sha("fast-head"), project.sha("main")
    expected = project.git("log", "--merges", "--ancestry-path", "--reverse", "--format=%s", f"{head}^..{main}")
    assert manager.merge_subjects(head, main) == expected.splitlines()
    assert manager.merge_subjects(head, main)[0] == "Merge pull request #12 from someone/fast"
    assert manager.merge_subjects(project.sha("main"), main) == ["Merge pull request #13 from someone/other"]


def test_a_root_commit_has_no_parent_and_the_error_says_what_to_give(
    manager: RepoManager, project: RepositoryBuilder
) -> None:
    root = project.sha("v1.0")
    with pytest.raises(RepositoryError, match=f"{root} is a root commit .* give a base commit") as caught:
        manager.first_parent(root)
    assert caught.value.reason is Reason.NO_PARENT


@pytest.mark.parametrize("reference", ["main", "refs/heads/fast", "v1.0", "annotated"])
def test_references_resolve_to_commits(manager: RepoManager, project: RepositoryBuilder, reference: str) -> None:
    project.tag("annotated", "a message")
    assert manager.resolve(reference) == project.sha(f"{reference}^{{commit}}")


def test_short_and_full_hashes_resolve(manager: RepoManager, project: RepositoryBuilder) -> None:
    assert manager.resolve(project.head) == manager.resolve(project.head[:9]) == project.head


def test_a_commit_made_after_the_cache_is_found(manager: RepoManager, project: RepositoryBuilder) -> None:
    assert manager.resolve(project.commit("by hash").head) == project.head
    assert manager.resolve(project.commit("by short hash").head[:8]) == project.head
    assert manager.resolve(project.branch("new").commit("by branch").sha("new")) == project.sha("new")


@pytest.mark.parametrize("reference", ["f" * 40, "abcdef1", "no-such-branch", "--upload-pack=touch x", "-x", "a b", ""])
def test_an_unknown_reference_is_refused_with_its_name(manager: RepoManager, reference: str) -> None:
    with pytest.raises(RepositoryError, match=r"has no commit .*: check the hash") as caught:
        manager.resolve(reference)
    assert caught.value.reason is Reason.COMMIT_NOT_FOUND
    assert repr(reference) in caught.value.message


def test_the_main_arm_of_a_clone_is_what_its_origin_had_before_its_own_branch(
    project: RepositoryBuilder, tmp_path: Path
) -> None:
    git_at(tmp_path, "clone", "--quiet", str(project.path), "clone")
    published = project.head
    git_at(tmp_path / "clone", "commit", "--quiet", "--allow-empty", "-m", "mine, not pushed")
    clone = RepoManager(tmp_path / "work", str(tmp_path / "clone"))
    assert clone.main_commit() == published == clone.resolve("origin/main")
    assert clone.resolve("main") == git_at(tmp_path / "clone", "rev-parse", "main") != published
    git_at(tmp_path / "clone", "remote", "remove", "origin")
    assert clone.main_commit() == clone.resolve("main")


@pytest.mark.parametrize(("branches", "main"), [(("master", "main"), "main"), (("dev", "master"), "master")])
def test_the_main_arm_is_the_first_of_the_usual_branches(tmp_path: Path, branches: tuple[str, ...], main: str) -> None:
    project = RepositoryBuilder(tmp_path / "project").commit().branch("base")
    project.git("branch", "-D", "main")
    for branch in branches:
        project.branch(branch).commit(branch)
    manager = RepoManager(tmp_path / "work", str(project.path))
    assert manager.main_commit() == project.sha(main)
    assert manager.main_commit(branches[0]) == project.sha(branches[0])


def test_the_main_arm_follows_the_branch_from_run_to_run(manager: RepoManager, project: RepositoryBuilder) -> None:
    before = manager.main_commit()
    project.commit("later")
    assert manager.main_commit() == project.head != before


def test_a_repository_without_a_usual_branch_needs_a_main_ref(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "project").commit()
    project.git("branch", "-m", "trunk")
    manager = RepoManager(tmp_path / "work", str(project.path))
    with pytest.raises(RepositoryError, match="name its main branch as mainRef") as caught:
        manager.main_commit()
    assert caught.value.reason is Reason.COMMIT_NOT_FOUND
    assert manager.main_commit("trunk") == project.head


def test_versions_come_from_the_nearest_version_tag_of_the_real_history(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "project").commits(2)
    untagged = project.head
    project.commit().tag("v1.2").commit().tag("stable-2-final").commit("head", {"a.py": "1\n"})
    head = project.head
    project.commit().tag("v2.0")
    manager = RepoManager(tmp_path / "work", str(project.path))
    manager.ensure_base()
    assert [manager.describe_version(sha) for sha in (untagged, head, project.head)] == ["0.1.dev2", "1.3.dev2", "2.0"]
    assert manager.version_tag(head) == "v1.3.dev2"


def test_a_clone_is_named_by_its_origin_and_a_lone_repository_by_its_folder(
    project: RepositoryBuilder, tmp_path: Path
) -> None:
    manager = RepoManager(tmp_path / "work", str(project.path))
    assert (manager.origin_url(), manager.slug()) == (None, "local/project")
    project.origin("git@example.com:them/their-project.git")
    assert manager.origin_url() == "git@example.com:them/their-project.git"
    assert manager.slug() == "them/their-project"


def test_a_worktree_is_a_detached_checkout_of_the_commit(manager: RepoManager, project: RepositoryBuilder) -> None:
    path = manager.create_worktree("fast", "item-1")
    assert path.is_relative_to(manager.work_root / "worktrees" / "item-1")
    assert git_at(path, "rev-parse", "HEAD") == project.sha("fast")
    assert git_at(path, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    assert git_at(path, "status", "--porcelain") == ""
    assert (path / "latin.txt").read_bytes() == "caf\xe9\n".encode("latin-1")


def test_a_worktree_is_made_once_and_keeps_what_was_done_in_it(manager: RepoManager) -> None:
    path = manager.create_worktree("fast", "item-1")
    (path / "a.py").write_text("mine\n")
    git_at(path, "commit", "--quiet", "--all", "-m", "mine")
    assert manager.create_worktree("fast", "item-1") == path
    assert (path / "a.py").read_text() == "mine\n"


def test_a_worktree_whose_making_was_killed_is_made_again(manager: RepoManager) -> None:
    path = manager.create_worktree("fast", "item-1")
    admin = path / git_at(path, "rev-parse", "--git-dir")
    (admin / "locked").write_text("initializing")
    (path / "a.py").unlink()
    assert manager.create_worktree("fast", "item-1") == path
    assert (path / "a.py").read_text() == "x = 2\n"


def test_every_arm_and_item_has_its_own_worktree_and_they_go_by_item(
    manager: RepoManager, project: RepositoryBuilder
) -> None:
    paths = [manager.create_worktree(ref, item) for item in ("one", "two") for ref in ("main", project.sha("v1.0"))]
    assert len(set(paths)) == 4
    manager.remove_worktrees("one")
    assert [path.exists() for path in paths] == [False, False, True, True]
    registered = git_at(manager.ensure_base(), "worktree", "list", "--porcelain")
    assert registered.count("worktree ") == 3
    manager.remove_worktrees("one")


@pytest.mark.parametrize("item", ["../../escape", "..", "a/b", "-rf"])
def test_no_item_name_leads_out_of_the_work_root(manager: RepoManager, item: str) -> None:
    path = manager.create_worktree("main", item)
    assert path.resolve().parent.parent == (manager.work_root / "worktrees").resolve()


def test_symlinks_and_modes_survive_in_a_worktree(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "p").commit("links", {"a": "1\n", "link": Symlink("a")})
    path = RepoManager(tmp_path / "work", str(project.path)).create_worktree("main", "item")
    assert (path / "link").readlink() == Path("a")
