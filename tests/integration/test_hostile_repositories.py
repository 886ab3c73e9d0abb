"""A repository may hold anything: nothing in it runs, nothing of it escapes, and the user's clone stays as it is."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from building.repositories import RepositoryBuilder, Symlink, git_at, git_bytes
from isobench.adapters.git.repositories import RepoManager

EVERYTHING = """
import sys
from pathlib import Path
from isobench.adapters.git.agent_repository import create_agent_repository
from isobench.adapters.git.repositories import RepoManager

work, url = Path(sys.argv[1]), sys.argv[2]
manager = RepoManager(work, url)
head = manager.main_commit()
base = manager.first_parent(head)
manager.diff(base, head)
manager.changed_files(base, head)
manager.merge_subjects(head, head)
manager.describe_version(base)
manager.export_tree(head, work / "tree")
manager.create_worktree("main", "item")
create_agent_repository(manager, base, work / "agent")
manager.remove_worktrees("item")
"""

HOOKS = ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc", "post-rewrite", "update")


def run_everything(work: Path, url: str, *, unprivileged: bool = False, **environment: str) -> None:
    """Use all of a repository in a process of its own; as root, `unprivileged` makes file modes count."""
    bounded = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    prefix = bounded if unprivileged and os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, sys.executable, "-c", EVERYTHING, str(work), url],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def fingerprint(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything about every file below `folder` that a write would change."""
    facts: dict[str, tuple[object, ...]] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        seen = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        facts[str(path)] = (seen.st_mode, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, content)
    return facts


@pytest.fixture
def hostile(tmp_path: Path) -> RepositoryBuilder:
    """A clone whose hooks, settings and attributes each leave a mark in `canary` when git obeys them."""
    (tmp_path / "canary").mkdir()

    def touch(name: str) -> str:
        return f"touch {tmp_path}/canary/{name}; :"

    attributes = "* filter=evil diff=evil merge=evil\n"
    project = (
        RepositoryBuilder(tmp_path / "project")
        .commit("one", {"a.py": "x = 1\n", ".gitattributes": attributes})
        .tag("v1.0")
        .commit("two", {"a.py": "x = 2\n", "new\nline": "1\n", b"\xff\xfe": "1\n", "out": Symlink("/etc/passwd")})
    )
    modules = f'[submodule "../../evil"]\n\tpath = sub\n\turl = "ext::sh -c touch% {tmp_path}/canary/ext"\n'
    project.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    project.commit("submodule", {".gitmodules": modules, "sub/.keep": ""})
    project.git("update-ref", "refs/heads/--upload-pack=touch", "HEAD")
    project.git("update-ref", "refs/tags/-rf", "HEAD")
    for hook in HOOKS:
        project.hook(hook, touch(hook))
    for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "uploadpack.packObjectsHook", "diff.external"):
        project.set(key, touch(key))
    for key in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.evil.command"):
        project.set(key, touch(key))
    return project


def test_nothing_that_a_clone_sets_up_is_run(hostile: RepositoryBuilder, tmp_path: Path) -> None:
    run_everything(tmp_path / "work", str(hostile.path))
    assert list((tmp_path / "canary").iterdir()) == []


def test_the_marks_would_be_left_by_an_ordinary_git(hostile: RepositoryBuilder, tmp_path: Path) -> None:
    hostile.git("diff", "HEAD~1", "HEAD~2")
    hostile.git("checkout", "--quiet", "--force", "HEAD~2")
    marks = {path.name for path in (tmp_path / "canary").iterdir()}
    assert {"diff.evil.command", "filter.evil.smudge", "post-checkout", "core.fsmonitor"} <= marks


def test_the_users_own_filters_hooks_and_drivers_are_not_run(hostile: RepositoryBuilder, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for key in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.external", "core.fsmonitor"):
        git_at(tmp_path, "config", "--file", str(home / ".gitconfig"), key, f"touch {tmp_path}/canary/{key}; :")
    hooks = (
        RepositoryBuilder(home / "hooked").hook("post-checkout", f"touch {tmp_path}/canary/hook").path / ".git/hooks"
    )
    git_at(tmp_path, "config", "--file", str(home / ".gitconfig"), "core.hooksPath", str(hooks))
    run_everything(tmp_path / "work", str(hostile.path), HOME=str(home))
    assert list((tmp_path / "canary").iterdir()) == []


def test_the_environment_of_the_caller_does_not_steer_git(hostile: RepositoryBuilder, tmp_path: Path) -> None:
    elsewhere = RepositoryBuilder(tmp_path / "elsewhere").commit()
    before = fingerprint(elsewhere.path)
    misleading = {"GIT_DIR": f"{elsewhere.path}/.git", "GIT_WORK_TREE": str(elsewhere.path), "GIT_INDEX_FILE": "x"}
    run_everything(tmp_path / "work", str(hostile.path), **misleading, GIT_EXTERNAL_DIFF="false", GIT_TRACE="1")
    assert fingerprint(elsewhere.path) == before
    assert list((tmp_path / "canary").iterdir()) == []


def test_odd_names_are_exported_and_shown_readably(hostile: RepositoryBuilder, tmp_path: Path) -> None:
    manager = RepoManager(tmp_path / "work", str(hostile.path))
    manager.ensure_base()
    exported = manager.export_tree("main", tmp_path / "work" / "tree")
    assert (exported.path / os.fsdecode(b"\xff\xfe")).read_text() == "1\n"
    assert exported.outside_links == ("out",)
    assert manager.changed_files(f"{hostile.head}~2", f"{hostile.head}~1") == ["a.py", "new\nline", "out", "\\xff\\xfe"]
    patch = manager.diff(f"{hostile.head}~2", f"{hostile.head}~1")
    assert patch.content == git_bytes(hostile.path, "diff", "-p", "--no-ext-diff", "--no-textconv", "HEAD~2", "HEAD~1")


def test_references_that_look_like_flags_are_references(hostile: RepositoryBuilder, tmp_path: Path) -> None:
    manager = RepoManager(tmp_path / "work", str(hostile.path))
    assert manager.resolve("--upload-pack=touch") == manager.resolve("-rf") == hostile.head
    assert manager.create_worktree("-rf", "item").is_relative_to(manager.work_root / "worktrees" / "item")


def test_the_users_clone_is_only_read(tmp_path: Path) -> None:
    project = (
        RepositoryBuilder(tmp_path / "project").commit("one", {"a.py": "1\n"}).tag("v1").commit("two", {"b": "2\n"})
    )
    for path in [project.path, *project.path.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    before = fingerprint(project.path)
    run_everything(tmp_path / "work", str(project.path), unprivileged=True)
    assert fingerprint(project.path) == before


def test_a_read_only_folder_does_refuse_the_process_of_that_test(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "project").commit().commit()
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    with pytest.raises(AssertionError, match="Permission denied"):
        run_everything(locked / "work", str(project.path), unprivileged=True)


def test_nothing_outside_the_work_root_is_written(tmp_path: Path, hostile: RepositoryBuilder) -> None:
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    work = tmp_path / "work"
    work.mkdir()
    outside = [path for path in tmp_path.iterdir() if path != work]
    before = [fingerprint(path) for path in outside]
    run_everything(work, str(hostile.path), HOME=f"{tmp_path}/home", TMPDIR=f"{tmp_path}/tmp")
    assert [path for path in tmp_path.iterdir() if path != work] == outside
    assert [fingerprint(path) for path in outside] == before
