"""An agent's task: which files it may change, what it is told, and what the attempt is expected to cost."""

import io
import re
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from isobench.engine.money import Prices, Usage
from isobench.engine.worktree_rules import steers

TEST_NAMES = ("efficiency_test.py", "isobench_efficiency_test.py")
SEED_VARIABLE = "ISOBENCH_SEED"
"""A test that reads its seed from here can be run on inputs that the agent was not shown."""

SYSTEM_TOKENS = 8_000
STEP_PROMPT_TOKENS = 900
STEP_COMPLETION_TOKENS = 400
"""What a step usually adds to the conversation: for the estimate before a run, which no cap relies on."""

_SOURCE_SUFFIXES = frozenset(
    {
        *(".py", ".pyi", ".pyx", ".pxd", ".pxi", ".tpl", ".jinja", ".j2"),
        *(".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".cu", ".cuh", ".s", ".asm", ".f", ".f90"),
        *(".rs", ".go", ".java", ".kt", ".js", ".mjs", ".ts", ".jl", ".r"),
    }
)
_NO_SOURCE_FOLDERS = frozenset(
    {
        *("test", "tests", "testing", "benchmark", "benchmarks", "asv_bench", ".github", "ci"),
        *("doc", "docs", "documentation", "example", "examples", "changelog", "news", "newsfragments"),
    }
)
_TEST_FILE = re.compile(r"^(test_.*|.*_test|tests?|conftest)\.\w+$")
_FILE_HEADER = re.compile(r"^diff --git ", re.MULTILINE)
_OLD_FILE = re.compile(r'^--- "?a/(.+?)"?\t?$', re.MULTILINE)
_LETTERS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent is told, whatever its kind; `create_opensource_task` makes one of a person's words."""

    task_name: str
    description: str
    target_files: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    primary_metric: str = "wall time of the efficiency test"


def targets_of(patch: str, in_base: Callable[[str], bool]) -> tuple[str, ...]:
    """The source files of base that the human ``patch`` changes; no tests, no docs, nothing that the patch adds."""
    parts = _FILE_HEADER.split(patch)[1:]
    paths = dict.fromkeys(path for part in parts for path in _OLD_FILE.findall(part.partition("\n@@")[0]))
    return tuple(path for path in paths if is_source(path) and in_base(path))


def is_source(path: str) -> bool:
    """Whether ``path`` is code of the project itself: neither a test, nor documentation, nor what builds it."""
    parts = PurePosixPath(path).parts
    if any(folder.lower() in _NO_SOURCE_FOLDERS for folder in parts[:-1]) or steers(path):
        return False
    generated = path.removesuffix(".in").removesuffix(".tp")  # from a template of code
    return PurePosixPath(generated).suffix.lower() in _SOURCE_SUFFIXES and _TEST_FILE.match(parts[-1].lower()) is None


def brief_of(name: str, targets: Sequence[str], constraints: Sequence[str], metric: str) -> Brief:
    """The brief for an item: the project's ``name`` and what base itself shows, nothing of the human change."""
    description = (
        f"Make {name} faster at what its efficiency test measures, without changing what it computes. Find out where "
        "the time goes, change the code that costs it, and show by the test that it became faster."
    )
    return Brief(f"optimize-{slug(name)}", description, tuple(targets), tuple(constraints), metric)


def prompt_of(brief: Brief, test: str | None, minutes: float, iterations: int, connected: bool = False) -> str:
    """The prompt; ``test`` is the name of the efficiency test in the worktree, None where there is none."""
    how = (
        f"Measure with `python {test}`: its last line holds the time of one iteration (`avg_ms`, or seconds) and, "
        "where it prints one, the digest of its result, which must stay the same. Inputs that you are not shown are "
        f"tried too: `{SEED_VARIABLE}=7 python {test}` tries others, where the test knows a seed. Don't change {test}."
        if test
        else "Measure by a script of your own below $TMPDIR."
    )
    rules = [
        "Change these files only, any other change is discarded and the attempt does not count:",
        *(f"  - {path}" for path in brief.target_files),
        "Don't touch tests, build scripts, configuration, git's settings, hooks or branches; leave no other files in "
        "the repository (use $TMPDIR).",
        "Keep every public name, signature and result as it is.",
        *brief.constraints,
        f"There is {'a' if connected else 'no'} network. You have {iterations} steps and {minutes:g} minutes.",
        "When you are done, say so by the finish tool; an attempt that does not is not counted.",
    ]
    listed = "\n".join(rule if rule.startswith("  ") else f"- {rule}" for rule in rules)
    return (
        f"# {brief.task_name}\n\n{brief.description}\n\nThe working directory is the repository. What counts: "
        f"{brief.primary_metric}.\n\n{how}\n\nRules:\n{listed}\n"
    )


def efficiency_test_name(in_base: Callable[[str], bool]) -> str:
    """What the efficiency test is called in a worktree that has no such file."""
    return next((name for name in TEST_NAMES if not in_base(name)), TEST_NAMES[-1])


def branch_of(task_name: str, epoch: int) -> str:
    """The agent's branch."""
    return f"agent/{slug(task_name)}/{epoch}"


def slug(name: str) -> str:
    """``name`` in lower-case letters, digits and dashes."""
    return _LETTERS.sub("-", name.lower()).strip("-") or "task"


def without_comments(script: str) -> str:
    """``script`` with its comments blanked; line numbers stay. It must be valid Python."""
    lines = script.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(script).readline):
        is_encoding = token.start[0] <= 2 and "coding" in token.string
        if token.type == tokenize.COMMENT and not token.string.startswith("#!") and not is_encoding:
            row, column = token.start
            ending = "\n" if lines[row - 1].endswith("\n") else ""
            lines[row - 1] = lines[row - 1][:column].rstrip() + ending
    return "".join(lines)


def import_roots(targets: Sequence[str], in_base: Callable[[str], bool]) -> tuple[str, ...]:
    """The folders of the tree from which the targets' packages are imported, `.` for the tree itself."""
    return tuple(dict.fromkeys(str(_root(PurePosixPath(path), in_base)) for path in targets if path.endswith(".py")))


def _root(path: PurePosixPath, in_base: Callable[[str], bool]) -> PurePosixPath:
    folder = path.parent
    while folder.parts and in_base(str(folder / "__init__.py")):
        folder = folder.parent
    return folder


def estimate_usd(prices: Prices, prompt: str, iterations: int, cap_usd: float) -> float:
    """What an attempt of half its steps costs, each asking with the whole conversation so far; at most the cap."""
    steps = max(1, iterations // 2)
    first = SYSTEM_TOKENS + len(prompt.encode()) // 4
    prompts = steps * first + STEP_PROMPT_TOKENS * steps * (steps - 1) // 2
    cached = prompts - first - STEP_PROMPT_TOKENS * (steps - 1)
    usage = Usage(prompts, STEP_COMPLETION_TOKENS * steps, max(0, cached))
    return min(cap_usd, float(prices.cost(usage)))
