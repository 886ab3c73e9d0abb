"""A small project with a history of real performance commits, and every way in which a commit can disappoint.

`swift.total` passes over its numbers `PASSES` times, a few milliseconds each: what a commit does to its time is
known. Its build backend is part of it, so building it asks no registry.
"""

from dataclasses import dataclass
from pathlib import Path

from building.projects import write_project
from building.repositories import RepositoryBuilder, git_bytes

ORIGIN = "https://host.example/fast/swift.git"
REPO = "fast/swift"
MERGED_BY = 12

_SWIFT = '''"""Totals, swiftly."""

PASSES = {passes}


def total(n):
    """The sum of the first n remainders."""
    for _ in range(PASSES):
        result = sum(i * i % 7 for i in range(n))
    return {result}
'''

TEST = """
import hashlib, json, time
import swift

start = time.perf_counter()
result = swift.total(50_000)
elapsed = time.perf_counter() - start
digest = hashlib.sha256(str(result).encode()).hexdigest()
print(json.dumps({"avg_ms": elapsed * 1000, "result_sha256": digest}))
"""

ENDLESS_TEST = "import time\ntime.sleep(3600)\n"
"""Holds a run in `timing` until it is stopped."""


@dataclass(frozen=True)
class SwiftHistory:
    """The repository, and the commits by what they do to `total`."""

    path: Path
    root: str
    merged: str
    """Twice as fast; came in by a pull request's merge."""
    neutral: str
    """Changes the README only."""
    slower: str
    faster: str
    """Three times as fast; committed straight to main."""
    failing: str
    """`total` raises."""
    different: str
    """`total` gives another result."""
    unbuildable: str
    """The build backend ends with an error."""
    plain: tuple[str, ...]
    """Commits that change a text file each: material for items that end before anything is built."""


def write_history(path: Path, plain: int = 8) -> SwiftHistory:
    """Make the repository; the hashes are the same each time."""
    project = RepositoryBuilder(path).origin(ORIGIN)
    write_project(path, {"__init__.py": swift(passes=4)})
    root = project.commit("Add swift").head
    project.branch("halve")
    merged = project.commit("Halve the passes\n\nEach number is looked at twice less.", changed(passes=2)).head
    project.switch("main").merge("halve", f"Merge pull request #{MERGED_BY} from person/halve")
    neutral = project.commit("Say what it does", {"README.md": "Totals.\n"}).head
    slower = project.commit("Look at each number once more", changed(passes=3)).head
    faster = project.commit("One pass is enough", changed(passes=1)).head
    failing = project.commit("Refuse to work", changed(passes=1, result="result / 0")).head
    project.commit("Work again", changed(passes=1))
    different = project.commit("Count one more", changed(passes=1, result="result + 1")).head
    project.commit("Count right", changed(passes=1))
    backend = (path / "backend.py").read_text()
    unbuildable = project.commit("Need a compiler", {"backend.py": 'raise SystemExit("no compiler here")\n'}).head
    project.commit("Need no compiler", {"backend.py": backend})
    heads = [project.commit(f"Note {number}", {"NOTES.txt": f"{number}\n"}).head for number in range(plain)]
    return SwiftHistory(path, root, merged, neutral, slower, faster, failing, different, unbuildable, tuple(heads))


def swift(passes: int, result: str = "result") -> str:
    """The module's text."""
    return _SWIFT.format(passes=passes, result=result)


def changed(passes: int, result: str = "result") -> dict[str, str]:
    """The files of a commit that changes the module."""
    return {"swift/__init__.py": swift(passes, result)}


def write_long_history(path: Path, commits: int) -> list[str]:
    """A repository of so many commits on main, in no time, and their hashes from the second on."""
    path.mkdir(parents=True)
    git_bytes(path, "init", "--quiet", "--initial-branch=main")
    stream = "".join(_imported(number) for number in range(commits + 1))
    git_bytes(path, "fast-import", "--quiet", stdin=stream.encode())
    git_bytes(path, "remote", "add", "origin", ORIGIN)
    return git_bytes(path, "rev-list", "--reverse", "main").decode().split()[1:]


def _imported(number: int) -> str:
    who = f"committer A Person <person@example.com> {1_700_000_000 + number} +0000"
    message, content = f"Note {number}", f"{number}\n"
    return (
        f"commit refs/heads/main\n{who}\ndata {len(message)}\n{message}\n"
        f"M 644 inline NOTES.txt\ndata {len(content)}\n{content}\n"
    )
