"""What can be seen of a conversation from outside while it goes on, and after it was killed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHOWN = 1000
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Progress:
    """Writes `progress.json` and a line of `steps.jsonl` as the SDK's events come."""

    def __init__(self, folder: Path) -> None:
        """Both go into ``folder``."""
        self._folder = folder
        self._steps = (folder / "steps.jsonl").open("a", encoding="utf-8", buffering=1)
        self._begun: dict[str, dict[str, Any]] = {}
        self._answers: set[str] = set()
        self.metrics: Callable[[], Any] | None = None
        """The SDK's own count of tokens and dollars, once the conversation can be asked."""
        self.finished = False
        self.error = ""
        self.said = ""

    @property
    def iterations(self) -> int:
        """Answers of the model that were acted on."""
        return len(self._answers)

    def on_event(self, event: Any) -> None:
        """Take one event of the SDK: an action, what came of it, a message, an error."""
        kind = type(event).__name__
        if kind == "ActionEvent":
            self._begin(event)
        elif kind == "MessageEvent" and event.source == "agent":
            self._answers.add(event.llm_response_id or event.id)
            self.said = _text(event.llm_message.content)
            self._write(_step(self.iterations, self.said))
        elif kind in ("ObservationEvent", "AgentErrorEvent"):
            self._end(event)
        elif kind == "ConversationErrorEvent":
            self.error = event.code
        self._save(kind)

    def _begin(self, event: Any) -> None:
        self._answers.add(event.llm_response_id)
        thought = _text(event.thought) or str(event.reasoning_content or "")
        given = str(event.tool_call.arguments)
        self._begun[event.tool_call_id] = _step(self.iterations, thought, event.tool_name, given)

    def _end(self, event: Any) -> None:
        step = self._begun.pop(event.tool_call_id, None) or _step(self.iterations, tool=event.tool_name)
        failed = type(event).__name__ == "AgentErrorEvent"
        self.finished = self.finished or (event.tool_name == "finish" and not failed)
        result = event.error if failed else _text(event.observation.to_llm_content)
        self._write({**step, "result": _cut(result)})

    def _write(self, step: dict[str, Any]) -> None:
        self._steps.write(json.dumps({**step, "usd": self._spent()["usd"]}) + "\n")

    def _save(self, event: str) -> None:
        data = {"iterations": self.iterations, **self._spent(), "last_event": event}
        write_whole(self._folder / "progress.json", data)

    def _spent(self) -> dict[str, Any]:
        spent = self.metrics() if self.metrics is not None else None
        tokens = spent.accumulated_token_usage if spent is not None else None
        return {
            "prompt_tokens": tokens.prompt_tokens if tokens is not None else 0,
            "completion_tokens": tokens.completion_tokens if tokens is not None else 0,
            "usd": spent.accumulated_cost if spent is not None else 0.0,
        }


def write_whole(path: Path, data: Any) -> None:
    """Make ``path`` hold ``data``; a kill leaves the old content or the new, never a part."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
    temporary.replace(path)


def _step(number: int, thought: str = "", tool: str = "", given: str = "") -> dict[str, Any]:
    return {"step": number, "thought": _cut(thought), "tool": tool, "input": _cut(given), "result": ""}


def _text(parts: Any) -> str:
    return "\n".join(part.text for part in parts if hasattr(part, "text"))


def _cut(text: str) -> str:
    text = _TERMINAL_CODES.sub("", text)
    return text if len(text) <= SHOWN else text[: SHOWN // 2] + " … " + text[-SHOWN // 2 :]
