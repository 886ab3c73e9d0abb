"""The object cache: one bare repository per source with all commits, and file contents once they are asked for."""

import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from filelock import FileLock

from isobench.adapters.git.command import Git, GitFailed, RepositoryError
from isobench.adapters.git.source import Source
from isobench.adapters.git.whole_folders import whole_folder
from isobench.contracts.reasons import Reason

_WITHOUT_CONTENTS = "--filter=blob:none"
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-show-forced-updates")
_EVERYWHERE = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_IN_A_CLONE = "+refs/remotes/origin/*:refs/remotes/origin/*"

# Files are written as the commit holds them: these attributes win over every .gitattributes of a tree.
EXACT_ATTRIBUTES = "* -text -eol -ident -filter !working-tree-encoding\n"

_PACKS_WORTH_AN_INDEX = 32


class ObjectCache:
    """Commits, trees and contents of one repository, safe for many processes at once."""

    def __init__(self, path: Path, source: Source) -> None:
        """Keep the objects of `source` in the bare repository `path`; nothing is fetched yet."""
        self.path = path
        self.source = source
        self.git = Git.of_repository(path)
        self.lock = FileLock(path.with_suffix(".lock"))
        self._refusal: RepositoryError | None = None

    def ensure(self) -> None:
        """Make the cache if it isn't there; one that was killed half-way is made again.

        A source that can't be had is asked once: a submodule of every arm may name it.

        Raises:
            RepositoryError: the source is unreachable, shallow or empty.
        """
        if self.path.is_dir():
            return
        if self._refusal is not None:
            raise self._refusal
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.lock:
            if not self.path.is_dir():
                self._create()

    def refresh(self) -> None:
        """Take over the branches and tags that the source has now; make the cache if it isn't there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.lock:
            if self.path.is_dir():
                self.source.repository()
                self._fetch_references(self.path)
            else:
                self._create()

    def has(self, commit: str) -> bool:
        """Whether the cache holds the commit."""
        return self.path.is_dir() and self.git.answer("cat-file", "-e", f"{commit}^{{commit}}") is not None

    def contents(self, blobs: Iterable[str]) -> Iterator[bytes]:
        """The contents of files that the cache holds, in the order asked for."""
        answer = self.git.output("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs).encode())
        while answer:
            heading, _, answer = answer.partition(b"\n")
            size = int(heading.rsplit(b" ", 1)[1])
            yield answer[:size]
            answer = answer[size + 1 :]

    def fetch_commit(self, commit: str) -> None:
        """Ask the source once for a commit that the cache lacks: one that no branch or tag leads to.

        Raises:
            RepositoryError: the source doesn't have it.
        """
        if self.has(commit):
            return
        with self.lock:
            try:
                self._transfer(self.path, *_FETCH, "origin", commit)
            except GitFailed as failure:
                if failure.reason is not Reason.INFRASTRUCTURE_ERROR:
                    raise
                raise commit_not_found(commit, self.source) from None

    def fetch_contents(self, commits: Iterable[str], only: Container[str] | None = None) -> None:
        """Bring in, by one transfer, the file contents of these commits (`only` some hashes) that the cache lacks.

        Raises:
            RepositoryError: the source can't give them.
        """
        trees = "".join(f"{commit}^{{tree}}\n" for commit in commits).encode()
        if not self._missing(trees, only):
            return
        with self.lock:
            missing = self._missing(trees, only)
            if missing:
                self._transfer(
                    self.path,
                    *("-c", "fetch.negotiationAlgorithm=noop", *_FETCH, _WITHOUT_CONTENTS, "--stdin", "origin"),
                    stdin="\n".join(missing).encode(),
                )
                self._index_packs()

    def _missing(self, trees: bytes, only: Container[str] | None) -> list[str]:
        listing = ("rev-list", "--objects", "--no-object-names", "--missing=print", "--stdin")
        missing = (line[1:] for line in self.git.text(*listing, stdin=trees).splitlines() if line.startswith("?"))
        return [sha for sha in missing if only is None or sha in only]

    def _index_packs(self) -> None:
        """Keep look-ups fast where a thousand items have each brought a pack."""
        packs = sum(1 for _ in self.path.glob("objects/pack/*.pack"))
        if packs % _PACKS_WORTH_AN_INDEX == 0:
            self.git.output("multi-pack-index", "write")

    def _create(self) -> None:
        try:
            self._clone()
        except RepositoryError as error:
            if not error.reason.consequence.retried:
                self._refusal = error
            raise

    def _clone(self) -> None:
        local = self.source.repository()
        with whole_folder(self.path) as directory:
            git = Git.of_repository(directory)
            git.output("init", "--quiet", "--bare")
            if self._offers_partial_clones(directory):
                git.output("config", "core.repositoryFormatVersion", "1")
                git.output("config", "extensions.partialClone", "origin")
                git.output("config", "remote.origin.partialCloneFilter", "blob:none")
            (directory / "info").mkdir()
            (directory / "info" / "attributes").write_text(EXACT_ATTRIBUTES)
            self._fetch_references(directory)
            commit = git.text("for-each-ref", "--count=1", "--format=%(objectname)")
            if not commit:
                raise RepositoryError(
                    Reason.REPOSITORY_EMPTY, f"repository {self.source} has no commits: name one that has"
                )
            # Patches show hashes as short as the source's own git does, however many contents are here by then.
            shown = (local or git).text("rev-parse", "--short", commit)
            git.output("config", "core.abbrev", str(len(shown)))

    def _offers_partial_clones(self, directory: Path) -> bool:
        """What the server says it can: one that can't may hang (plain HTTP), so that trying is no way to find out."""
        packets = directory / "packets"
        git = self.source.transfer(directory).with_environment(GIT_TRACE_PACKET=str(packets))
        git.output("ls-remote", "origin", "HEAD")
        if not packets.exists():
            return False
        said = packets.read_text(errors="replace")
        packets.unlink()
        return re.search(r"< fetch=.*\bfilter\b", said) is not None

    def _fetch_references(self, directory: Path) -> None:
        in_a_clone = (_IN_A_CLONE,) if self.source.path is not None else ()
        self._transfer(directory, *_FETCH, "--prune", "origin", *_EVERYWHERE, *in_a_clone)

    def _transfer(self, directory: Path, *arguments: str, stdin: bytes = b"") -> None:
        self.source.transfer(directory).output(*arguments, stdin=stdin)


def commit_not_found(reference: str, source: Source) -> RepositoryError:
    """The error for a commit, branch or tag that neither cache nor source has."""
    return RepositoryError(
        Reason.COMMIT_NOT_FOUND,
        f"{source} has no commit {reference!r}: check the hash, or name the repository that holds it",
    )
