"""What a model is asked for when it is to write an efficiency test, and the script in what it answers."""

import ast
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from isobench.contracts.extraction import Extraction
from isobench.contracts.reasons import ItemFailure, Reason

FEEDBACK_BYTES = 2048
SCRIPT_BYTES = 256 * 1024
NEVER_ASKED = {"repo_path"}
"""Keys of an extraction that say nothing of the commit: somebody else's path."""

PROTOCOL_NAMES = ("avg_ms", "iterations", "result_sha256", "seed")

ROLE = """You write efficiency tests for Python repositories. A test is one script that measures how fast a repository
does what a given commit made faster. The same script is run, unchanged, before the commit, after it, and on later
versions."""

PROTOCOL = """Write one Python script that measures the effect of this commit. It is run as `python test.py`, without
arguments, in an environment where the repository is installed, with no network, in an empty folder, pinned to one core.

1. Call the repository only by names that exist before and after the commit. Don't inspect which version is running.
2. Build the inputs before the timed part, from the seed int(os.environ.get("ISOBENCH_SEED", "0")): the same seed gives
   the same inputs, another seed others of the same kind and size. Choose them so that the changed code does most of the
   timed work, large enough that one iteration takes 20 ms to 500 ms before the commit, and a run less than 20 s.
3. Run once without timing, then time several iterations with time.perf_counter. Do all of the work in each of them:
   keep nothing from one to the next that would spare it.
4. Check that the result is what it should be, and compute SHA-256 over a canonical form of it: sorted where order has
   no meaning, floats rounded where the last digits may differ, nothing in it that depends on time or on the version.
5. Print as the last line one JSON object with exactly these keys: "avg_ms" (mean milliseconds of one iteration, not
   rounded), "iterations", "result_sha256", "seed". Exit with status 0, or let the exception end the script.
6. Write no files, start no processes that outlive the script, use no package but the repository's own dependencies.
7. The script is shown to people who don't know the commit: don't name the commit, its hash, its pull request or its
   title, and don't quote lines that it adds.

Answer with the script in one ```python block and nothing else."""

REPAIR = """The script did not pass. This is what happened:

{failure}

Answer with the whole corrected script, under the same rules, in one ```python block and nothing else."""

_FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


def question(extraction: Extraction, limit_bytes: int) -> tuple[Message, ...]:
    """The first question: the protocol and the whole extraction, at most about ``limit_bytes`` of it.

    An extraction that is larger has its longest texts cut in the middle, all to one length: the longest of the halvings
    of the limit at which the whole fits.
    """
    known = extraction.model_dump(mode="json", exclude_none=True, exclude=NEVER_ASKED)
    told = f"The commit, as it was extracted from the repository:\n\n{_bounded(known, limit_bytes)}"
    return Message("system", ROLE), Message("user", f"{PROTOCOL}\n\n{told}")


def repair(asked: tuple[Message, ...], answer: str, failure: str) -> tuple[Message, ...]:
    """The question that follows an ``answer`` whose script failed; of ``failure`` at most 2 KiB are told."""
    told = REPAIR.format(failure=cut(failure.strip(), FEEDBACK_BYTES))
    return *asked, Message("assistant", cut(answer, SCRIPT_BYTES)), Message("user", told)


def cut(text: str, limit_bytes: int) -> str:
    """``text`` in at most ``limit_bytes`` of UTF-8: whole, or its beginning and end with a note of what is left out."""
    encoded = text.encode("utf-8", errors="replace")
    if len(encoded) <= limit_bytes:
        return encoded.decode()
    note = f"\n[... {len(encoded)} bytes, cut to {limit_bytes} ...]\n".encode()
    half = max(0, limit_bytes - len(note)) // 2
    kept = encoded[:half] + note + encoded[len(encoded) - half :]
    return kept[:limit_bytes].decode(errors="ignore")


def script_in(answer: str) -> str:
    """The script in a model's ``answer``: the longest fenced block, or all of it when there is no fence.

    Raises:
        ItemFailure: TEST_INVALID, with a sentence that also tells the model what to mend.
    """
    fenced = [block for tag, block in _FENCE.findall(answer) if tag.lower() in ("", "python", "py", "python3")]
    script = max(fenced, key=len, default=answer if "```" not in answer else "").strip() + "\n"
    if not script.strip():
        raise _invalid("the answer holds no Python script: answer with one ```python block")
    if len(script.encode(errors="replace")) > SCRIPT_BYTES:
        raise _invalid(
            f"the script is larger than {SCRIPT_BYTES // 1024} KiB: generate large inputs, don't write them out"
        )
    check_syntax(script)
    missing = [name for name in PROTOCOL_NAMES if name not in script]
    if missing:
        raise _invalid(f"the script never mentions {', '.join(missing)}: print the JSON line with all of its keys")
    return script


def check_syntax(script: str) -> None:
    """Compile ``script`` without running it.

    Raises:
        ItemFailure: TEST_INVALID, with the line and what is wrong with it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            compile(script, "test.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        shown = f" in {error.text.strip()[:200]!r}" if error.text else ""
        raise _invalid(f"the script is not valid Python: line {error.lineno}: {error.msg}{shown}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise _invalid(f"the script is not valid Python: {error or type(error).__name__}") from None


def without_comments(script: str) -> str:
    """``script`` with the same meaning and neither comments nor docstrings.

    Raises:
        ItemFailure: TEST_INVALID when it is not valid Python.
    """
    check_syntax(script)
    tree = ast.parse(script)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree) + "\n"


def _bounded(known: Mapping[str, Any], limit_bytes: int) -> str:
    share = limit_bytes
    text = _encoded(known)
    while len(text.encode(errors="replace")) > limit_bytes and share > 64:
        share //= 2
        text = _encoded(_shortened(known, share))
    return cut(text, limit_bytes)


def _shortened(value: Any, share: int) -> Any:
    if isinstance(value, str):
        return cut(value, share)
    if isinstance(value, dict):
        return {key: _shortened(entry, share) for key, entry in value.items()}
    if isinstance(value, list):
        return [_shortened(entry, share) for entry in value]
    return value


def _encoded(known: Mapping[str, Any]) -> str:
    return json.dumps(known, ensure_ascii=False, indent=1)


def _invalid(message: str) -> ItemFailure:
    return ItemFailure(Reason.TEST_INVALID, message)
