"""One OpenHands conversation, in an interpreter that has the SDK; the process that the supervisor starts.

It is told everything through standard input as JSON, and says how it ended in `end.json`. All HTTP of this process goes
through the gateway's Unix socket, and it knows no provider's key.
"""

import importlib
import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from isobench.adapters.agents.openhands.progress import Progress, write_whole
from isobench.probe.kernel import hide_from_debuggers

MESSAGE = 2000

BY_CODE = {
    "BudgetExhausted": "budget_exhausted",
    "calls_exhausted": "iterations_exhausted",
    "MaxIterationsReached": "iterations_exhausted",
}
"""What the gateway's code, or the SDK's, says of how a conversation ended."""


class LastAnswer:
    """The gateway's last answer: its status, and isobench's code for it where it has one."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.status = 200
        self.code = ""

    def ending(self) -> str | None:
        """The ending that this answer explains; None for an answer that was fine."""
        if self.code in BY_CODE:
            return BY_CODE[self.code]
        if self.status in (401, 403):
            return "llm_unauthorized"
        return None if self.status < 400 else "llm_unavailable"


def main() -> None:
    """Read the request, converse, leave `end.json`."""
    hide_from_debuggers()  # before the token comes: the agent's shell is of the same user
    request = json.loads(sys.stdin.read())
    folder, answer = Path(request["folder"]), LastAnswer()
    try:
        send_http_through(Path(request["socket"]), answer)
        end = converse(request, folder, answer)
    except Exception as error:  # noqa: BLE001 - whatever keeps the SDK from starting is for a person to read
        traceback.print_exc()
        end = {"how": "crashed", "message": f"{type(error).__name__}: {error}"[:MESSAGE], "iterations": 0}
    write_whole(folder / "end.json", end)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if end["how"] == "finished" else 1)  # threads of the SDK may go on; the supervisor ends its shells


def send_http_through(socket: Path, answer: LastAnswer) -> None:
    """Let every HTTP client of this process connect to ``socket``, whatever its URL says, and note each ``answer``."""
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    short = f"/proc/self/fd/{folder}/{socket.name}"  # a socket's path has 107 bytes, a work root's may have more
    for name in ("httpx", "httpx2"):  # LiteLLM uses one or both, by the versions of what it stands on
        with suppress(ImportError):
            _redirect(importlib.import_module(name).HTTPTransport, short, answer)


def _redirect(transport: Any, socket: str, answer: LastAnswer) -> None:
    begin, handle = transport.__init__, transport.handle_request

    def begin_at_socket(self: Any, *_: Any, **__: Any) -> None:
        begin(self, uds=socket)

    def handle_and_note(self: Any, request: Any) -> Any:
        response = handle(self, request)
        answer.status, answer.code = response.status_code, response.headers.get("X-Isobench-Code", "")
        return response

    transport.__init__, transport.handle_request = begin_at_socket, handle_and_note


def converse(request: dict[str, Any], folder: Path, answer: LastAnswer) -> dict[str, Any]:
    """Have the conversation, and say how it ended."""
    from isobench.adapters.agents.openhands.conversation import begin  # the SDK: seconds, and after the redirection

    progress = Progress(folder)
    talk = begin(request, folder, progress)
    try:
        talk.run()
    except Exception as error:  # noqa: BLE001 - the SDK wraps whatever went wrong
        traceback.print_exc()
        cause = error.__cause__ or error
        message = f"{type(cause).__name__}: {cause}"
        how = answer.ending() or ("llm_unavailable" if _of_a_model(cause) else "crashed")
    else:
        how = _ending(progress, str(talk.state.execution_status.value), answer)
        message = progress.said if how == "not_finished" else progress.error
    return {"how": how, "message": message[:MESSAGE], "iterations": progress.iterations}


def _of_a_model(error: BaseException) -> bool:
    """Whether ``error`` came from asking the model: a stream may break off after an answer that began well."""
    return type(error).__module__.startswith(("openhands.sdk.llm", "litellm", "openai", "httpx"))


def _ending(progress: Progress, status: str, answer: LastAnswer) -> str:
    if progress.finished:
        return "finished"
    if progress.error in BY_CODE:
        return BY_CODE[progress.error]
    if status == "stuck":
        return "stuck"
    return (answer.ending() or "crashed") if status == "error" else "not_finished"
