"""Git as a process: a clean environment, no prompt, no hook, bounded time, and failures that are sentences."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from isobench.contracts.reasons import ItemFailure, Reason

CONFIGURATION = Path(__file__).with_name("isobench.gitconfig")
"""The configuration of every local git command, before a repository's own; a user's is read for transfers only."""

PAUSE_BEFORE_RETRY_SECONDS = 1.0

_SIGNS: tuple[tuple[Reason, str], ...] = (
    (Reason.DISK_FULL, r"no space left on device|disk quota exceeded"),
    (
        Reason.REPOSITORY_UNREACHABLE,
        r"authentication failed|could not read (username|password)|permission denied \(|returned error: 4(?!29|08)"
        r"|repository .*not found|does not (appear to be|exist)|connection refused|couldn't connect to server"
        r"|transport '.*' not allowed|unable to find remote helper|host key verification failed|certificate"
        r"|no route to host|could ?n[o']t resolve host|name resolution",
    ),
    (
        Reason.GIT_TRANSIENT,
        r"connection (was )?reset|broken pipe|timed? ?out|early eof|unexpected disconnect|hung up unexpectedly"
        r"|returned error: (408|429|5\d\d)|operation too slow"
        r"|transfer closed|empty reply from server|unable to create '.*\.lock'|cannot lock ref|rpc failed"
        r"|connection closed|invalid index-pack output|failed to connect",
    ),
)


class RepositoryError(ItemFailure):
    """A repository can't give what was asked of it; `reason` says which way, `message` what to do."""


class GitFailed(RepositoryError):
    """A git command ended with an error; `stderr` is what it printed, credentials masked."""

    def __init__(self, subject: str, command: str, stderr: str) -> None:
        """Judge the failure of `git <command>` on `subject` by what git said, untranslated."""
        self.stderr = without_credentials(stderr)
        reason = next(
            (reason for reason, signs in _SIGNS if re.search(signs, self.stderr, re.IGNORECASE)),
            Reason.INFRASTRUCTURE_ERROR,
        )
        super().__init__(reason, f"{subject}: git {command} failed ({self.complaint}): {reason.consequence.advice}")

    @property
    def may_pass(self) -> bool:
        """Whether the same command may go well a moment later."""
        return self.reason is Reason.GIT_TRANSIENT or "resolve host" in self.stderr.lower()

    @property
    def complaint(self) -> str:
        """The line of git's output that says what is wrong."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        fatal = [line for line in lines if line.lower().startswith(("fatal:", "error:", "remote:", "ssh:"))]
        return (fatal or lines or ["it printed nothing"])[0]


@dataclass(frozen=True)
class Git:
    """Runs git in one directory. Local by default: it can reach no network, whatever a repository asks for."""

    directory: Path
    environment: Mapping[str, str] = field(default_factory=lambda: local_environment(), repr=False)
    timeout_seconds: float = 600.0
    subject: str = ""
    command: tuple[str, ...] = ("git",)

    @classmethod
    def of_repository(cls, git_dir: Path) -> Self:
        """Git on exactly this repository: a damaged one is never mistaken for one that encloses it."""
        return cls(git_dir).with_environment(GIT_DIR=str(git_dir))

    @classmethod
    def of_files(cls, directory: Path) -> Self:
        """Git for what needs no repository: none that lies in the directory or around it is looked at."""
        return cls(directory).with_environment(GIT_DIR=os.devnull)

    def with_environment(self, **variables: str) -> Self:
        """The same git with more environment variables."""
        return replace(self, environment={**self.environment, **variables})

    def output(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Standard output of `git <arguments>`; a failure that may pass by itself is tried once more.

        Raises:
            GitFailed: git ended with an error, twice if it was a passing one.
        """
        try:
            return self._attempt(arguments, stdin)
        except GitFailed as failure:
            if not failure.may_pass:
                raise
        time.sleep(PAUSE_BEFORE_RETRY_SECONDS)
        return self._attempt(arguments, stdin)

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Standard output as text without the final line break; bytes that aren't UTF-8 are replaced."""
        return self.output(*arguments, stdin=stdin).decode(errors="replace").removesuffix("\n")

    def answer(self, *arguments: str, stdin: bytes = b"") -> str | None:
        """Standard output as text, or None where git says no."""
        try:
            return self.text(*arguments, stdin=stdin)
        except GitFailed:
            return None

    def _attempt(self, arguments: tuple[str, ...], stdin: bytes) -> bytes:
        try:
            process = subprocess.Popen(
                (*self.command, *arguments),
                cwd=self.directory,
                env=dict(self.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal to prompt on, and Ctrl-C ends a stage, not half a fetch
            )
        except FileNotFoundError:
            raise RepositoryError(
                Reason.INFRASTRUCTURE_ERROR,
                f"git or the folder {self.directory} isn't there: install git 2.36 or later",
            ) from None
        with process:
            try:
                stdout, stderr = process.communicate(stdin, self.timeout_seconds)
            except BaseException as interruption:
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(interruption, subprocess.TimeoutExpired):
                    raise
                raise self._failure(arguments, f"timed out after {self.timeout_seconds:.0f} s") from None
        if process.returncode == -signal.SIGINT:  # Ctrl-C came before it had a session of its own, or did anything
            return self._attempt(arguments, stdin)
        if process.returncode:
            raise self._failure(arguments, stderr.decode(errors="replace"))
        return stdout

    def _failure(self, arguments: tuple[str, ...], stderr: str) -> GitFailed:
        command = next(argument for argument in arguments if argument.isalpha() or "-" in argument[1:-1])
        return GitFailed(self.subject or str(self.directory), command, stderr)


def local_environment() -> dict[str, str]:
    """The whole environment of a git command that touches nothing but this machine.

    The configuration is given twice: as the user's, which alone counts for some settings and for git's own children;
    and on the command line, which a repository's own can't overrule: foreign code may have written that.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(CONFIGURATION),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "include.path",
        "GIT_CONFIG_VALUE_0": str(CONFIGURATION),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
    }


def without_credentials(text: str) -> str:
    """`text` with the user part of every URL masked."""
    return re.sub(r"(?<=://)[^/@\s]+(?=@)", "***", text)
