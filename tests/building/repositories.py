"""A fluent builder of real git repositories: commits, branches, merges, tags, submodules; the same hashes each time.

project = RepositoryBuilder(tmp_path / "project").commit("slow", {"a.py": SLOW}).tag("v1.0").commit("fast", {...})
project.sha("v1.0"), project.head
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_FIRST_COMMIT_AT = 1_700_000_000
_SECONDS_BETWEEN_COMMITS = 60


@dataclass(frozen=True)
class Symlink:
    """A symlink as a file's content."""

    target: str


@dataclass(frozen=True)
class Executable:
    """An executable file's content."""

    text: str


Content = str | bytes | Symlink | Executable | None
"""What a commit does to a file: write it, or remove it (None)."""


class RepositoryBuilder:
    """A repository with a worktree on the branch `main`; each step returns the builder."""

    def __init__(self, path: Path, *, bare: bool = False) -> None:
        self.path = path
        self._commits = 0
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))

    @property
    def head(self) -> str:
        return self.sha("HEAD")

    def sha(self, revision: str) -> str:
        return self.git("rev-parse", "--verify", "--end-of-options", revision)

    def commit(self, message: str = "change", files: Mapping[str | bytes, Content] | None = None) -> Self:
        for name, content in (files or {}).items():
            _write(self.path / os.fsdecode(name), content)
        self.git("add", "--all", "--force")
        return self._commit("commit", "--quiet", "--allow-empty", "--message", message)

    def commits(self, count: int) -> Self:
        """A history of so many commits that each change one file."""
        for number in range(count):
            self.commit(f"step {number}", {"steps.txt": f"{number}\n"})
        return self

    def branch(self, name: str, start: str = "HEAD") -> Self:
        """Make a branch and switch to it."""
        self.git("switch", "--quiet", "--create", name, start)
        return self

    def switch(self, name: str) -> Self:
        self.git("switch", "--quiet", name)
        return self

    def merge(self, branch: str, message: str | None = None) -> Self:
        """A true merge commit on the current branch."""
        return self._commit("merge", "--quiet", "--no-ff", "--message", message or f"Merge {branch}", branch)

    def tag(self, name: str, message: str | None = None) -> Self:
        """A lightweight tag, or an annotated one with a message."""
        self.git("tag", *(["--annotate", "--message", message] if message else []), name)
        return self

    def submodule(self, path: str, url: str) -> Self:
        self.git("submodule", "--quiet", "add", url, path)
        return self.commit(f"add submodule {path}")

    def origin(self, url: str) -> Self:
        self.git("remote", "add", "origin", url)
        return self

    def set(self, key: str, value: str) -> Self:
        self.git("config", key, value)
        return self

    def exactly(self) -> Self:
        """From here on commit contents byte for byte, whatever attributes and settings say."""
        (self.path / ".git" / "info" / "attributes").write_text("* -text -ident -filter !working-tree-encoding\n")
        return self

    def hook(self, name: str, script: str) -> Self:
        """A hook that runs `script` by the shell."""
        hook = self.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)
        return self

    def git(self, *arguments: str) -> str:
        """Standard output of an ordinary git, as a person would run it here."""
        return git_at(self.path, *arguments, when=_FIRST_COMMIT_AT + _SECONDS_BETWEEN_COMMITS * self._commits)

    def _commit(self, *arguments: str) -> Self:
        self.git(*arguments)
        self._commits += 1
        return self


def git_at(directory: Path, *arguments: str, when: int = _FIRST_COMMIT_AT) -> str:
    """Standard output of `git` in `directory` without the last line break; an error fails the test."""
    return git_bytes(directory, *arguments, when=when).decode(errors="surrogateescape").removesuffix("\n")


def git_bytes(directory: Path, *arguments: str, when: int = _FIRST_COMMIT_AT, stdin: bytes = b"") -> bytes:
    """Standard output of `git` in `directory` as it is."""
    command = ["git", "-c", "protocol.file.allow=always", "-c", "safe.directory=*", *arguments]
    done = subprocess.run(command, cwd=directory, env=_environment(when), input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def _environment(when: int) -> dict[str, str]:
    person = {"NAME": "A Person", "EMAIL": "person@example.com", "DATE": f"@{when} +0200"}
    roles = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    isolated = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    return {"PATH": os.environ["PATH"], "HOME": os.devnull} | isolated | roles


def _write(path: Path, content: Content) -> None:
    path.unlink(missing_ok=True)
    if content is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Symlink):
        path.symlink_to(content.target)
    elif isinstance(content, Executable):
        path.write_text(content.text)
        path.chmod(0o755)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
