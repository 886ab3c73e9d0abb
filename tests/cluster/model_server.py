"""A provider whose models attempt the swift project, each its own way: `python -m cluster.model_server HOST PORT`."""

import sys
import threading
from collections.abc import Callable, Sequence

from building.attempts import FASTER
from llmserver import Asked, Fails, Says, running_model

KEY = "sk-key-that-only-the-gateway-sees"
PROMPT_TOKENS, COMPLETION_TOKENS = 6_000, 100
DILIGENT = (
    Says.tool("terminal", thought="one pass is enough", command=f"{FASTER}; python efficiency_test.py"),
    Says.finish("one pass"),
)
TURNS: dict[str, Sequence[Says]] = {
    "diligent": DILIGENT,
    "idle": (Says.finish("it is fast enough"),),
    "lavish": (Says.tool("terminal", thought="let me think", command="true"),),
}
"""What each says in turn; its last turn is repeated."""

TOKENS = {"lavish": (20_000, 4_000)}


def answer(asked: Asked) -> Says | Fails:
    """The model's next turn: which one, the conversation so far says."""
    if asked.headers.get("Authorization") != f"Bearer {KEY}":
        return Fails(401, message="no such key")
    model = str(asked.body["model"])
    turns = TURNS[model]
    done = sum(message["role"] == "assistant" for message in asked.body["messages"])
    turn = turns[min(done, len(turns) - 1)]
    prompt, completion = TOKENS.get(model, (PROMPT_TOKENS, COMPLETION_TOKENS))
    return Says(turn.text, prompt, completion, ending=turn.ending, tool_calls=turn.tool_calls)


def main(address: str, port: str) -> None:
    """Serve until the process is ended."""
    script: Sequence[Callable[[Asked], Says | Fails]] = [answer]
    with running_model(script, address, int(port)):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
