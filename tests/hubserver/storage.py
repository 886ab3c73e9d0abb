"""What the hub keeps: dataset repositories as chains of commits, and large objects by their hash."""

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StoredFile:
    """A file at one commit; a large one is stored once, under its sha256."""

    content: bytes
    large: bool

    @property
    def oid(self) -> str:
        """Git's name for the file's content."""
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid


Files = dict[str, StoredFile]


@dataclass(frozen=True)
class Commit:
    oid: str
    message: str
    files: Files


@dataclass
class Repository:
    """A repository with one branch."""

    repo_id: str
    private: bool
    commits: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commit("initial commit", {".gitattributes": StoredFile(b"*.parquet filter=lfs\n", False)})

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    def commit(self, message: str, files: Files) -> Commit:
        """Make ``files`` the whole content of the branch."""
        seed = f"{self.repo_id} {len(self.commits)} {message}"
        self.commits.append(Commit(hashlib.sha1(seed.encode()).hexdigest(), message, files))
        return self.head

    def at(self, revision: str) -> Commit | None:
        if revision == "main":
            return self.head
        return next((commit for commit in self.commits if commit.oid == revision), None)


@dataclass
class Storage:
    """All repositories, all uploaded large objects, and who may do what."""

    writers: set[str]
    """Tokens that may read and write."""
    readers: set[str]
    """Tokens that may only read."""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def create(self, repo_id: str, *, private: bool = False) -> Repository:
        self.repositories[repo_id] = Repository(repo_id, private)
        return self.repositories[repo_id]
