"""Plain trees: exactly the files of the commit, submodules included, whole or absent."""

import os
import shutil
from pathlib import Path

import pytest

from building.repositories import Executable, RepositoryBuilder, Symlink, git_at, git_bytes
from isobench.adapters.git.command import RepositoryError
from isobench.adapters.git.repositories import RepoManager


def manager_of(tmp_path: Path, project: RepositoryBuilder) -> RepoManager:
    return RepoManager(tmp_path / "work", str(project.path), "owner/project")


def tree_written(directory: Path, scratch: Path) -> str:
    """The hash of the tree that an ordinary git makes of the files in `directory`."""
    index = RepositoryBuilder(scratch)
    index.git("--work-tree", str(directory), "add", "--all", "--force")
    return index.git("write-tree")


def test_a_plain_tree_holds_the_commits_files_modes_and_symlinks(tmp_path: Path) -> None:
    files = {
        "a.py": "x = 1\n",
        "package/b.py": b"\0\xff",
        "run.sh": Executable("#!/bin/sh\n"),
        "link": Symlink("a.py"),
        "empty": "",
        "with space/and\nnewline": "1\n",
        b"caf\xe9.txt": "latin name\n",
        "-rf": "1\n",
    }
    project = RepositoryBuilder(tmp_path / "project").commit("all kinds", files)
    exported = manager_of(tmp_path, project).export_tree("main", tmp_path / "work" / "tree")
    assert exported.path == tmp_path / "work" / "tree"
    assert tree_written(exported.path, tmp_path / "check") == project.sha("main^{tree}")
    assert not (exported.path / ".git").exists()
    assert os.access(exported.path / "run.sh", os.X_OK)
    assert (exported.path / "link").readlink() == Path("a.py")


def test_no_attribute_changes_what_is_written(tmp_path: Path) -> None:
    attributes = "*.txt text eol=crlf\n*.py ident export-subst\n*.u working-tree-encoding=UTF-16\nskip export-ignore\n"
    contents = {"a.txt": b"1\n2\r\n", "a.py": b"$Id$ $Format:%H$\n", "a.u": b"plain\n", "skip": b"1\n", "b": b"\r\n"}
    project = RepositoryBuilder(tmp_path / "project").exactly()
    project.commit("contents", contents).commit("attributes", {".gitattributes": attributes})
    manager = manager_of(tmp_path, project)
    for tree in (manager.export_tree("main", tmp_path / "work" / "tree").path, manager.create_worktree("main", "i")):
        assert {name: (tree / name).read_bytes() for name in contents} == contents


def test_every_commit_of_a_history_has_its_own_tree(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "project").commits(5)
    manager = manager_of(tmp_path, project)
    for number in range(5):
        tree = manager.export_tree(f"main~{number}", tmp_path / "work" / f"tree-{number}").path
        assert (tree / "steps.txt").read_text() == f"{4 - number}\n"


def test_a_finished_tree_is_left_as_it_is_and_the_remains_of_a_killed_one_go(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "project").commit("one", {"a.py": "x = 1\n"})
    manager = manager_of(tmp_path, project)
    remains = tmp_path / "work" / ".tree.unfinished-killed"
    remains.mkdir(parents=True)
    (remains / "half").write_text("1")
    tree = manager.export_tree("main", tmp_path / "work" / "tree").path
    assert not remains.exists()
    (tree / "built.so").write_text("1")
    assert manager.export_tree("main", tree).path == tree
    assert (tree / "built.so").exists()


def test_symlinks_that_lead_out_are_kept_and_listed(tmp_path: Path) -> None:
    links = {
        "inside": Symlink("folder/a"),
        "folder/up": Symlink("../inside"),
        "folder/out": Symlink("../../secret"),
        "absolute": Symlink("/etc/passwd"),
        "dots": Symlink(".."),
    }
    project = RepositoryBuilder(tmp_path / "project").commit("links", {"folder/a": "1\n", **links})
    exported = manager_of(tmp_path, project).export_tree("main", tmp_path / "work" / "tree")
    assert exported.outside_links == ("absolute", "dots", "folder/out")
    assert (exported.path / "folder" / "out").readlink() == Path("../../secret")


def test_submodules_are_plain_files_down_to_the_last(tmp_path: Path) -> None:
    inner = RepositoryBuilder(tmp_path / "inner").commit("inner", {"deep.py": "d = 1\n"})
    middle = RepositoryBuilder(tmp_path / "middle").commit("middle", {"m.py": "m = 1\n"})
    middle.submodule("nested/inner", str(inner.path))
    project = RepositoryBuilder(tmp_path / "project").commit("start", {"a.py": "x = 1\n"})
    project.submodule("vendor/middle", "../middle")
    middle.commit("later", {"m.py": "m = 2\n"})
    manager = manager_of(tmp_path, project)
    exported = manager.export_tree("main", tmp_path / "work" / "tree")
    worktree = manager.create_worktree("main", "item")
    for tree in (exported.path, worktree):
        assert (tree / "vendor/middle/m.py").read_text() == "m = 1\n"
        assert (tree / "vendor/middle/nested/inner/deep.py").read_text() == "d = 1\n"
    assert not list(exported.path.rglob(".git"))
    assert exported.missing_submodules == ()
    assert git_at(worktree, "status", "--porcelain") == ""


def test_a_submodule_of_the_users_clone_needs_no_network(tmp_path: Path) -> None:
    library = RepositoryBuilder(tmp_path / "library").commit("library", {"l.py": "l = 1\n"})
    project = RepositoryBuilder(tmp_path / "project").submodule("library", str(library.path))
    library.path.rename(tmp_path / "gone")
    exported = manager_of(tmp_path, project).export_tree("main", tmp_path / "work" / "tree")
    assert (exported.path / "library" / "l.py").read_text() == "l = 1\n"


def test_a_submodule_that_cannot_be_had_is_an_empty_folder_and_listed(tmp_path: Path) -> None:
    library = RepositoryBuilder(tmp_path / "library").commit("library", {"l.py": "l = 1\n"})
    middle = RepositoryBuilder(tmp_path / "middle").submodule("library", str(library.path))
    project = RepositoryBuilder(tmp_path / "project").submodule("middle", str(middle.path))
    project.submodule("library", str(library.path))
    git_at(tmp_path, "clone", "--quiet", str(project.path), "clone")
    library.path.rename(tmp_path / "gone")
    shutil.rmtree(middle.path / ".git" / "modules")
    clone = RepoManager(tmp_path / "work", str(tmp_path / "clone"))
    destination = tmp_path / "work" / "tree"
    for _ in ("made", "found"):
        assert clone.export_tree("main", destination).missing_submodules == ("library", "middle/library")
    assert list((destination / "library").iterdir()) == []


def test_a_tree_that_git_would_not_check_out_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "project").commit("start", {"a": "1\n"})
    blob = project.sha("main:a")
    listing = f"100644 blob {blob}\tconfig\n".encode()
    (tmp_path / "inner").write_bytes(listing)
    inner = git_bytes(project.path, "mktree", stdin=listing).decode().strip()
    outer = git_bytes(project.path, "mktree", stdin=f"040000 tree {inner}\t.git\n".encode()).decode().strip()
    project.git("branch", "evil", project.git("commit-tree", "-m", "evil", outer))
    with pytest.raises(RepositoryError, match=r"invalid path '\.git/config'"):
        manager_of(tmp_path, project).export_tree("evil", tmp_path / "work" / "trees" / "evil")
    assert list((tmp_path / "work" / "trees").iterdir()) == []
