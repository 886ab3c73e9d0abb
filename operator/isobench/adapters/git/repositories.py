"""One repository as the pipeline sees it: commits, patches, worktrees and plain trees, made under the work root."""

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from isobench.adapters.git.command import RepositoryError
from isobench.adapters.git.object_cache import ObjectCache, commit_not_found
from isobench.adapters.git.source import Source
from isobench.adapters.git.submodules import tree_entries
from isobench.adapters.git.tree_export import TreeExport, export_tree, fill_submodules
from isobench.contracts.reasons import Reason
from isobench.engine.identity import path_part, repo_slug
from isobench.engine.version import DescribedVersion, described_version, untagged_version

MAIN_REFS = ("origin/main", "origin/master", "main", "master")
"""Where the main arm is looked for, in this order."""

_FULL_HASH = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class CommitFacts:
    """What a commit says of itself."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    committed_at: datetime
    subject: str
    message: str

    @property
    def is_merge(self) -> bool:
        """Whether it has several parents; its pair is with the first."""
        return len(self.parents) > 1


@dataclass(frozen=True)
class Patch:
    """The difference of two commits."""

    content: bytes

    @property
    def text(self) -> str:
        """The record's `patch`: stripped, with U+FFFD in place of bytes that aren't UTF-8."""
        return self.content.decode(errors="replace").strip()

    @property
    def is_utf8(self) -> bool:
        """Whether `text` says all that `content` does."""
        try:
            self.content.decode()
        except UnicodeDecodeError:
            return False
        return True


class RepoManager:
    """A repository's objects, fetched once and shared by all items, threads and processes of a work root.

    Every method raises `RepositoryError` with a reason where the source can't give what it needs. The source is
    only read, whether it is a URL or the user's own clone.
    """

    def __init__(self, work_root: Path | str, repo_url: str, repo_name: str | None = None) -> None:
        """`repo_url` is a clone URL or a path; `repo_name` is `owner/name`, by default as the origin says it."""
        self.work_root = Path(work_root).absolute()
        self.source = Source.parse(repo_url)
        self.repo_name = repo_name or self.slug()
        self.cache = self._cache_named(self.repo_name, self.source)
        self._submodules: dict[str, ObjectCache] = {}
        self._commits: dict[str, CommitFacts] = {}

    def ensure_base(self) -> Path:
        """The bare repository with all commits, made if it isn't there."""
        self.cache.ensure()
        return self.cache.path

    def origin_url(self) -> str | None:
        """The URL itself, or the origin of a clone on this machine; None where it has none."""
        return self.source.origin_url()

    def slug(self) -> str:
        """`owner/name` as the record's `repo` has it."""
        return repo_slug(self.origin_url(), self.source.url)

    def resolve(self, ref: str) -> str:
        """The full hash of a branch, tag or (abbreviated) hash; what the cache lacks is asked for once."""
        self.cache.ensure()
        found = self._known(ref)
        if found is None:
            if _FULL_HASH.fullmatch(ref):
                self.cache.fetch_commit(ref)
            else:
                self.cache.refresh()
            found = self._known(ref)
        if found is None:
            raise commit_not_found(ref, self.source)
        return found

    def main_commit(self, main_ref: str | None = None) -> str:
        """The commit of the main arm: of `main_ref` if given, else of the first of `MAIN_REFS` that exists.

        The source is asked anew, because branches move: one call serves a whole run.
        """
        self.cache.refresh()
        if main_ref is not None:
            return self.resolve(main_ref)
        found = next((commit for ref in MAIN_REFS if (commit := self._known(ref))), None)
        if found is None:
            raise RepositoryError(
                Reason.COMMIT_NOT_FOUND,
                f"{self.source} has none of the branches {', '.join(MAIN_REFS)}: name its main branch as mainRef",
            )
        return found

    def commit(self, sha: str) -> CommitFacts:
        """What the commit says of itself; asked of git once."""
        if sha not in self._commits:
            self._commits[sha] = self._read_commit(self.resolve(sha))
        return self._commits[sha]

    def _read_commit(self, sha: str) -> CommitFacts:
        shown = self.cache.git.text("log", "-1", "--format=%T%x00%P%x00%ct%x00%s%x00%B", sha)
        tree, parents, committed, subject, message = shown.split("\0", 4)
        moment = datetime.fromtimestamp(int(committed), UTC)
        return CommitFacts(sha, tree, tuple(parents.split()), moment, subject, message.strip())

    def parents(self, sha: str) -> tuple[str, ...]:
        """The parents of a commit, the first first."""
        return self.commit(sha).parents

    def first_parent(self, sha: str) -> str:
        """The commit that the change of `sha` was made on."""
        parents = self.parents(sha)
        if not parents:
            raise RepositoryError(
                Reason.NO_PARENT, f"{sha} is a root commit of {self.source} and changes nothing: give a base commit"
            )
        return parents[0]

    def tree_hash(self, sha: str) -> str:
        """The hash of the commit's tree."""
        return self.commit(sha).tree

    def diff(self, base: str, head: str) -> Patch:
        """The whole difference as `git diff -p base head` prints it in a worktree of head."""
        base, head = self.resolve(base), self.resolve(head)
        attributes = [e for e in tree_entries(self.cache, head) if Path(e.path).name == ".gitattributes"]
        wanted = {entry.sha for entry in attributes} | self._changed_contents(base, head)
        self.cache.fetch_contents((base, head), only=wanted)
        with tempfile.TemporaryDirectory(prefix=".diff-", dir=self.cache.path.parent) as scratch:
            for entry, content in zip(attributes, self.cache.contents(e.sha for e in attributes), strict=True):
                place = Path(scratch, entry.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            git = replace(self.cache.git, directory=Path(scratch)).with_environment(GIT_WORK_TREE=scratch)
            return Patch(git.output("diff", "-p", "--no-ext-diff", "--no-textconv", base, head, "--"))

    def changed_files(self, base: str, head: str) -> list[str]:
        """The paths that differ; both names of a renamed file; bytes that aren't UTF-8 as `\\xff`."""
        pair = self.resolve(base), self.resolve(head)
        listing = self.cache.git.output("diff-tree", "-r", "-z", "--name-only", "--no-renames", *pair)
        return [path.decode(errors="backslashreplace") for path in listing.split(b"\0")[:-1]]

    def merge_subjects(self, head: str, main: str) -> list[str]:
        """The subjects of the merges from head's first parent to `main`, oldest first."""
        history = f"{self.first_parent(head)}..{self.resolve(main)}"
        log = self.cache.git.text("log", "--merges", "--ancestry-path", "--reverse", "--format=%s", history)
        return log.split("\n") if log else []

    def describe_version(self, sha: str) -> str:
        """The version (PEP 440) that the commit's real history gives to a project whose version is its tags."""
        return self._described(sha).version

    def version_tag(self, sha: str) -> str:
        """The tag that would give a lone commit that version, in the project's own style."""
        return self._described(sha).tag

    def fetch_contents(self, *commits: str) -> None:
        """Bring in the files of several commits by one transfer, before their trees are made one by one."""
        self.cache.fetch_contents([self.resolve(commit) for commit in commits])

    def export_tree(self, sha: str, destination: Path) -> TreeExport:
        """The files of the commit at `destination`, without git: all of them or nothing; a finished tree is kept."""
        commit = self.resolve(sha)
        with self.making(destination):
            return export_tree(self.cache, commit, destination, self._cache_of)

    def making(self, path: Path) -> FileLock:
        """The lock to hold while `path` is made; its folder is there then."""
        path.parent.mkdir(parents=True, exist_ok=True)
        locks = self.work_root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]}.lock")

    def create_worktree(self, ref: str, item_id: str) -> Path:
        """A detached worktree of `ref` for one item; the one that is there, whatever was done in it since."""
        sha = self.resolve(ref)
        name = sha[:12] if sha.startswith(ref.lower()) else f"{path_part(ref)}-{sha[:12]}"
        path = self._worktrees(item_id) / name
        self.fetch_contents(sha)
        with self.making(path):
            if not self._is_finished(path):
                with self.cache.lock:
                    shutil.rmtree(path, ignore_errors=True)
                    force = ("--force", "--force")  # also over what a killed one has registered and locked
                    self.cache.git.output("worktree", "add", "--quiet", *force, "--detach", str(path), sha)
            fill_submodules(self.cache, sha, path, self._cache_of)
        return path

    def remove_worktrees(self, item_id: str) -> None:
        """Remove all worktrees of an item."""
        with self.cache.lock:
            shutil.rmtree(self._worktrees(item_id), ignore_errors=True)
            self.cache.git.output("worktree", "prune")

    def _described(self, sha: str) -> DescribedVersion:
        sha = self.resolve(sha)
        not_versions: list[str] = []
        tags = ("describe", "--tags", "--long", "--match=*[0-9]*")
        while described := self.cache.git.answer(*tags, *not_versions, sha):
            tag, distance, _ = described.rsplit("-", 2)
            if version := described_version(tag, int(distance)):
                return version
            not_versions.append(f"--exclude={tag}")
        return untagged_version(int(self.cache.git.text("rev-list", "--count", sha)))

    def _is_finished(self, worktree: Path) -> bool:
        """Git locks a worktree while it fills it. The cache is asked: the worktree's own `.git` may lead anywhere."""
        known = os.fsdecode(self.cache.git.output("worktree", "list", "--porcelain", "-z")).split("\0\0")
        name = f"worktree {worktree.parent.resolve() / worktree.name}"
        found = next((facts for entry in known if (facts := entry.split("\0"))[0] == name), None)
        return found is not None and not any(fact.startswith(("locked", "prunable")) for fact in found)

    def _worktrees(self, item_id: str) -> Path:
        return self.work_root / "worktrees" / path_part(item_id)

    def _cache_of(self, submodule: Source) -> ObjectCache:
        name = repo_slug(submodule.url, submodule.url)
        return self._submodules.setdefault(submodule.digest, self._cache_named(name, submodule))

    def _cache_named(self, name: str, source: Source) -> ObjectCache:
        owner_and_name = path_part(name)
        return ObjectCache(self.work_root / "repos" / f"{owner_and_name}-{source.digest}.git", source)

    def _known(self, ref: str) -> str | None:
        if self.source.path is None:  # a server's own branches are what a clone calls origin's
            ref = re.sub(r"^origin/", "refs/heads/", ref)
        return self.cache.git.answer("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")

    def _changed_contents(self, base: str, head: str) -> set[str]:
        listing = self.cache.git.output("diff-tree", "-r", "-z", "--no-renames", base, head).split(b"\0")
        changes = (line.decode().split() for line in listing if line.startswith(b":"))
        return {sha for _, _, old, new, _ in changes for sha in (old, new)}
