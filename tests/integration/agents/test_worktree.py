"""What an agent left of its worktree is told without running anything of it, and patches are made of plain files."""

import os
import socket

import pytest

from building.repositories import git_at
from isobench.adapters.agents.worktree import changes, read_file, repository_state
from isobench.adapters.git.patches import PatchRefused, apply_patch, ignored_by, patch_between
from isobench.adapters.isolation.folders import clear


def write(tree, **files):
    for name, text in files.items():
        path = tree / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tree


@pytest.fixture
def base(tmp_path):
    return write(tmp_path / "base", a_py="x = 1\n", pkg__b_py="y = 1\n", pkg__c_py="z = 1\n")


@pytest.fixture
def worktree(tmp_path):
    return write(tmp_path / "worktree", a_py="x = 1\n", pkg__b_py="y = 1\n", pkg__c_py="z = 1\n")


def told(base, worktree):
    return {(change.path, change.kind) for change in changes(base, worktree)}


def test_equal_trees_differ_in_nothing(base, worktree):
    assert told(base, worktree) == set()


def test_content_modes_and_absence_are_changes(base, worktree):
    (worktree / "a.py").write_text("x = 2\n")  # of the same length
    (worktree / "pkg" / "b.py").chmod(0o755)
    (worktree / "pkg" / "c.py").unlink()
    write(worktree, new__d_py="1\n")
    assert told(base, worktree) == {
        ("a.py", "changed"),
        ("pkg/b.py", "changed"),
        ("pkg/c.py", "removed"),
        ("new/d.py", "added"),
    }


def test_links_are_told_and_never_followed(base, worktree, tmp_path):
    (worktree / "a.py").unlink()
    (worktree / "a.py").symlink_to("/etc/passwd")
    (worktree / "folder").symlink_to(tmp_path)
    links = {change.path: change.link for change in changes(base, worktree)}
    assert links == {"a.py": "/etc/passwd", "folder": str(tmp_path)}
    with pytest.raises(OSError, match="symbolic link"):
        read_file(worktree, "a.py")


def test_pipes_and_sockets_are_told_and_never_opened(base, worktree, monkeypatch):
    os.mkfifo(worktree / "pipe")
    monkeypatch.chdir(worktree)
    socket.socket(socket.AF_UNIX).bind("socket")
    assert {change.path for change in changes(base, worktree) if change.special} == {"pipe", "socket"}


def test_folders_without_any_right_are_looked_into(base, worktree):
    (worktree / "pkg" / "b.py").write_text("y = 2\n")
    (worktree / "pkg" / "b.py").chmod(0)
    (worktree / "pkg").chmod(0)
    assert told(base, worktree) == {("pkg/b.py", "changed")}


def test_a_worktree_that_is_gone_is_all_removed(base, worktree):
    clear(worktree)
    assert ("", "unreadable") in told(base, worktree)
    assert ("a.py", "removed") in told(base, worktree)


def test_a_tree_deeper_than_any_path_may_be_is_told_and_cleared(base, worktree):
    descriptor = os.open(worktree, os.O_DIRECTORY)
    for _ in range(600):
        os.mkdir("deeper12", dir_fd=descriptor)
        descriptor, above = os.open("deeper12", os.O_DIRECTORY, dir_fd=descriptor), descriptor
        os.close(above)
    os.close(descriptor)
    assert "unreadable" in {kind for _, kind in told(base, worktree)}
    clear(worktree)
    assert not worktree.exists()


def test_refs_hooks_settings_and_head_are_a_repositorys_state(worktree):
    git_at(worktree, "init", "-q", "--initial-branch=base")
    before = repository_state(worktree)
    git_at(worktree, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
    git_at(worktree, "tag", "later")
    git_at(worktree, "pack-refs", "--all")
    git_at(worktree, "config", "core.fsmonitor", "./evil")
    hook = worktree / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    after = repository_state(worktree)
    assert before.head == after.head == "ref: refs/heads/base"
    assert after.refs.keys() - before.refs.keys() == {"refs/heads/base", "refs/tags/later"}
    assert set(after.settings) - set(before.settings) == {"core.fsmonitor"}
    assert set(after.hooks) - set(before.hooks) == {"hooks/pre-commit"}


def test_a_patch_of_plain_files_applies_to_base(base, tmp_path):
    before = {"a.py": (b"x = 1\n", False), "pkg/b.py": (b"y = 1\n", False), "pkg/c.py": (b"z = 1\n", False)}
    after = {"a.py": (b"x = 2", False), "pkg/b.py": (b"\0\xff", True)}
    patch = patch_between(before, after, tmp_path / "scratch")
    fresh = apply_patch(patch, base, tmp_path / "fresh")
    assert (fresh / "a.py").read_bytes() == b"x = 2"
    assert read_file(fresh, "pkg/b.py") == (b"\0\xff", True)
    assert not (fresh / "pkg" / "c.py").exists()
    assert (base / "a.py").read_text() == "x = 1\n"
    assert patch_between(before, before, tmp_path / "scratch") == b""


@pytest.mark.parametrize("path", ["../out.py", "/tmp/out.py", ".git/hooks/post-checkout"])
def test_a_patch_of_what_is_not_base_or_leads_out_is_refused(base, tmp_path, path):
    patch = f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-nothing like it\n+more\n".encode()
    with pytest.raises(PatchRefused):
        apply_patch(patch, base, tmp_path / "fresh")


def test_what_git_would_ignore_is_told_by_bases_rules_alone(base, tmp_path):
    (base / ".gitignore").write_text("*.so\nbuild/\n")
    asked = ["a.py", "pkg/x.so", "build/lib/y.py"]
    assert ignored_by(base, asked, tmp_path / "scratch") == {"pkg/x.so", "build/lib/y.py"}
    assert ignored_by(base, ["a.py"], tmp_path / "scratch") == frozenset()
