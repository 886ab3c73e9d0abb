"""isobench: verified benchmark tasks from the performance commits of real repositories."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isobench.adapters.git.agent_repository import create_agent_repository
    from isobench.adapters.git.repositories import RepoManager
    from isobench.adapters.models.llm import LLMConfigManager
    from isobench.stages.orchestrator import OpenHandsOrchestrator, OptimizationResult, create_opensource_task

__version__ = "0.1.0"

__all__ = [
    "LLMConfigManager",
    "OpenHandsOrchestrator",
    "OptimizationResult",
    "RepoManager",
    "__version__",
    "create_agent_repository",
    "create_opensource_task",
]

# The old pipeline's names, imported when they are asked for: `isobench --help` must not load vendors.
_HOMES = {
    "LLMConfigManager": "isobench.adapters.models.llm",
    "OpenHandsOrchestrator": "isobench.stages.orchestrator",
    "OptimizationResult": "isobench.stages.orchestrator",
    "RepoManager": "isobench.adapters.git.repositories",
    "create_agent_repository": "isobench.adapters.git.agent_repository",
    "create_opensource_task": "isobench.stages.orchestrator",
}


def __getattr__(name: str) -> object:
    """The public name, from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'isobench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
