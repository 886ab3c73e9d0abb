"""The agent's demo's scripted models: what each of them answers, turn by turn."""

import json
import re
from collections.abc import Callable

from llmserver import Asked, Says

# The edit that the diligent model makes: a label that can't fit is refused before it is looked at letter by letter.
BEFORE = "    label = str(label)\n    check_label(label)\n    label_bytes = _punycode(label)"
AFTER = (
    "    label = str(label)\n    if len(label) > 59:  # with its prefix it can't have 63 letters or less\n"
    "        raise IDNAError('Label too long')\n    check_label(label)\n    label_bytes = _punycode(label)"
)
TIMED = "python efficiency_test.py"

Turn = Callable[[Asked], Says]


def answer(asked: Asked) -> Says:
    """The model's next turn: which one, the conversation so far says."""
    turns = TURNS[str(asked.body["model"])]
    done = sum(message["role"] == "assistant" for message in asked.body["messages"])
    return turns[min(done, len(turns) - 1)](asked)


def says(reply: Says, prompt_tokens: int, completion_tokens: int) -> Turn:
    """A turn that does not look at what was said before."""
    priced = Says(reply.text, prompt_tokens, completion_tokens, ending=reply.ending, tool_calls=reply.tool_calls)
    return lambda _asked: priced


def edit(asked: Asked) -> Says:
    """The edit, in the folder that the terminal named."""
    folder = re.search(r"worktree=(/\S+)", json.dumps(asked.body["messages"]).replace("\\n", "\n"))
    assert folder is not None, "the first turn prints it"
    reply = Says.tool(
        "file_editor",
        thought="A label of 60 letters and more can never fit: refuse it before its joiners are looked at.",
        command="str_replace",
        path=f"{folder[1]}/idna/core.py",
        old_str=BEFORE,
        new_str=AFTER,
    )
    return Says(reply.text, 9_000, 300, ending=reply.ending, tool_calls=reply.tool_calls)


def terminal(thought: str, command: str) -> Says:
    """A command in the agent's shell."""
    return Says.tool("terminal", thought=thought, command=command)


def look(what: str, file: str) -> Turn:
    """The first turn of a model that works: where it is, how long the test takes, and where to look."""
    command = f"echo worktree=$PWD; {TIMED}; grep -n {what} {file}"
    return says(terminal("Where does the time go?", command), 8_000, 200)


TURNS: dict[str, list[Turn]] = {
    "diligent": [
        look("check_label", "idna/core.py"),
        edit,
        says(terminal("Is it faster, with the same result?", TIMED), 9_500, 100),
        says(Says.finish("Labels that can't fit are refused early."), 10_000, 150),
    ],
    "idle": [says(Says.finish("It is fast enough as it is."), 8_000, 100)],
    "lavish": [
        look("all_equal", "more_itertools/recipes.py more_itertools/more.py"),
        says(terminal("Let me think about this at length.", TIMED), 30_000, 4_000),
    ],
}
