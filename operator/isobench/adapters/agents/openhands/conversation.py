"""The conversation as the SDK is told it: the model behind the gateway, three tools, and their bounds."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openhands.sdk import LLM, Agent, LocalConversation, Tool
from openhands.tools.file_editor import FileEditorTool
from openhands.tools.file_editor.exceptions import ToolError
from openhands.tools.terminal import TerminalTool
from pydantic import SecretStr

from isobench.adapters.agents.openhands import bootstrap
from isobench.adapters.agents.openhands.progress import Progress


def begin(request: dict[str, Any], folder: Path, progress: Progress) -> LocalConversation:
    """The conversation that ``request`` describes, with the task as its first message; nothing was asked yet."""
    root = Path(request["repository"])
    tools = [
        # Not tmux, which can lose the first command.
        Tool(name=TerminalTool.name, params={"terminal_type": "subprocess", "shell_path": str(_shell(folder))}),
        Tool(name=FileEditorTool.name),
    ]
    talk = LocalConversation(
        agent=Agent(llm=_model(request), tools=tools, include_default_tools=["FinishTool", "ThinkTool"]),
        workspace=root,
        callbacks=[progress.on_event],
        token_callbacks=[_ignore] if request["stream"] else None,
        max_iteration_per_run=request["max_iterations"],
        visualizer=None,
    )
    progress.metrics = talk.conversation_stats.get_combined_metrics
    talk.send_message(request["text"])
    editor: Any = talk.agent.tools_map[FileEditorTool.name].executor
    editor.allowed_edits_files = {(root / target).resolve() for target in request["targets"]}
    editor.editor = _inside(root, editor.editor)
    return talk


def _model(request: dict[str, Any]) -> LLM:
    return LLM(
        usage_id="agent",
        model=f"openai/{request['model']}",
        base_url=request["base_url"],
        api_key=SecretStr(request["token"]),
        api_mode=request["api"],
        input_cost_per_token=request["input_usd_per_token"],
        output_cost_per_token=request["output_usd_per_token"],
        num_retries=request["retries"],
        retry_multiplier=request["retry_min_seconds"],
        retry_min_wait=request["retry_min_seconds"],
        retry_max_wait=request["retry_max_seconds"],
        timeout=request["timeout_seconds"],
        stream=request["stream"],
        caching_prompt=False,  # its marks have prices of their own, and the gateway refuses them
        prompt_cache_retention=None,
        disable_vision=True,
    )


def _ignore(_chunk: object) -> None:
    """Streaming wants somebody who listens."""


def _inside(root: Path, editor: Callable[..., Any]) -> Callable[..., Any]:
    """The same editor, for paths in the worktree only: the SDK's installation holds later releases of many packages."""
    resolved = root.resolve()

    def edit(*, path: str, **given: Any) -> Any:
        if not Path(path).resolve().is_relative_to(resolved):
            raise ToolError(f"{path} is outside the repository {root}")
        return editor(path=path, **given)

    return edit


def _shell(folder: Path) -> Path:
    """A program that the terminal can start for bash: it shuts itself out of the SDK's installation first."""
    script = folder / "shell"
    command = shlex.join(bootstrap.command(sys.executable, bootstrap.PACKAGE, "shell"))
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    return script
