"""Folders that foreign code wrote: whatever it left of git's own files, isobench's git neither runs nor follows it."""

import os
from pathlib import Path

import pytest

from building.repositories import RepositoryBuilder, git_at
from isobench.adapters.agents.workplace import begin_branch
from isobench.adapters.agents.worktree import repository_state
from isobench.adapters.git.command import Git, GitFailed
from isobench.adapters.git.patches import apply_patch, ignored_by
from isobench.adapters.git.repositories import RepoManager

PATCH = b"--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
UNREADABLE = "[core]\n\tbare = neither\n"
"""A repository with this setting stops every git that asks what repository it is in."""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    (tmp_path / "canary").mkdir()
    return tmp_path / "canary"


@pytest.fixture
def hostile(tmp_path: Path, canary: Path) -> RepositoryBuilder:
    """A repository whose own settings name a program for all that they can, each of which leaves a mark."""
    project = RepositoryBuilder(tmp_path / "hostile").commit("one", {"f.py": "x = 1\n"}).commit("two", {"f.py": "x\n"})
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {canary}/{name}\n")
        (hooks / name).chmod(0o755)
    project.set("core.hooksPath", str(hooks))
    for key in ("core.fsmonitor", "core.sshCommand", "core.askPass", "gpg.program", "core.pager"):
        project.set(key, f"touch {canary}/{key}; :")
    return project.set("log.showSignature", "true")


def test_a_repositorys_own_settings_run_nothing(hostile: RepositoryBuilder, canary: Path) -> None:
    begin_branch(hostile.path, "agent/task/1", "efficiency_test.py", "print()\n")
    git = Git(hostile.path)
    git.output("status", "--porcelain")
    git.output("log", "-1")
    git.output("read-tree", "HEAD")
    assert list(canary.iterdir()) == []


def test_the_marks_would_be_left_by_an_ordinary_git(hostile: RepositoryBuilder, canary: Path) -> None:
    git_at(hostile.path, "update-ref", "refs/heads/other", "HEAD")
    git_at(hostile.path, "status")
    assert {path.name for path in canary.iterdir()} == {"reference-transaction", "core.fsmonitor", "post-index-change"}


def test_our_settings_are_the_last_word(hostile: RepositoryBuilder) -> None:
    assert Git(hostile.path).text("config", "--get", "core.hooksPath") == os.devnull
    assert Git(hostile.path).text("config", "--get", "core.fsmonitor") == "false"


def test_settings_are_read_as_text_and_not_by_a_git_that_is_in_the_repository(hostile: RepositoryBuilder) -> None:
    (hostile.path / ".git" / "config").write_text(UNREADABLE)
    with pytest.raises(GitFailed):
        Git(hostile.path).text("status")
    assert repository_state(hostile.path).settings == {"core.bare": "neither"}


@pytest.mark.parametrize("leads", ["away", "nowhere", "on and on"])
def test_settings_are_those_of_a_file_of_ordinary_size(hostile: RepositoryBuilder, leads: str, tmp_path: Path) -> None:
    config = hostile.path / ".git" / "config"
    config.unlink()
    match leads:
        case "away":
            tmp_path.joinpath("secret").write_text("[a]\n\tb = c\n")
            config.symlink_to(tmp_path / "secret")
        case "nowhere":
            os.mkfifo(config)
        case "on and on":
            config.write_text("# \n" * 2**20)
    assert set(repository_state(hostile.path).settings) <= {"core.config"}


def test_a_tree_with_git_files_in_it_is_patched_as_plain_files(tmp_path: Path) -> None:
    base, elsewhere = tmp_path / "base", RepositoryBuilder(tmp_path / "elsewhere").commit("one", {"f.py": "x = 1\n"})
    (base / ".git").mkdir(parents=True)
    (base / ".git" / "config").write_text(UNREADABLE)
    (base / "f.py").write_text("x = 1\n")
    patched = apply_patch(PATCH, base, tmp_path / "patched")
    assert (patched / "f.py").read_text() == "x = 2\n"

    (base / ".git" / "config").unlink()
    (base / ".git").rmdir()
    (base / ".git").write_text(f"gitdir: {elsewhere.path}/.git\n")
    assert (apply_patch(PATCH, base, tmp_path / "again") / "f.py").read_text() == "x = 2\n"
    assert (elsewhere.path / "f.py").read_text() == "x = 1\n"


def test_what_git_ignores_is_asked_of_a_repository_of_our_own(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / ".git").mkdir(parents=True)
    (base / ".git" / "config").write_text(UNREADABLE)
    (base / ".gitignore").write_text("*.log\n")
    assert ignored_by(base, ["a.log", "a.py"], tmp_path / "scratch") == {"a.log"}


@pytest.mark.parametrize("redirected", [".git", "commondir"])
def test_whether_a_worktree_is_finished_is_not_asked_of_the_worktree(tmp_path: Path, redirected: str) -> None:
    project = RepositoryBuilder(tmp_path / "project").commit("one", {"f.py": "x = 1\n"})
    manager = RepoManager(tmp_path / "work", str(project.path))
    worktree = manager.create_worktree("main", "item")
    (worktree / "mine.py").touch()
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "locked").touch()
    (fake / "HEAD").write_text("ref: refs/heads/main\n")
    if redirected == "commondir":
        (fake / "commondir").write_text(f"{project.path}/.git\n")
    else:
        (fake / "refs").mkdir()
        (fake / "objects").mkdir()
    (worktree / ".git").write_text(f"gitdir: {fake}\n")
    assert manager.create_worktree("main", "item") == worktree
    assert (worktree / "mine.py").exists()
