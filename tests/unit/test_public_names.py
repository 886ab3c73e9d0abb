"""What the old pipeline's callers import from `isobench`."""

import inspect
import subprocess
import sys

import pytest

import isobench


def test_the_kept_names_have_the_kept_arguments():
    assert list(inspect.signature(isobench.RepoManager).parameters) == ["work_root", "repo_url", "repo_name"]
    assert "ref" in inspect.signature(isobench.RepoManager.create_worktree).parameters
    assert "item_id" in inspect.signature(isobench.RepoManager.create_worktree).parameters
    assert callable(isobench.RepoManager.ensure_base)
    assert callable(isobench.LLMConfigManager.get_cost_estimate)
    assert callable(isobench.create_agent_repository)


def test_every_listed_name_can_be_had():
    assert all(hasattr(isobench, name) for name in isobench.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = isobench.nothing


def test_importing_isobench_loads_no_vendor():
    code = "import sys, isobench; print([name for name in ('pydantic', 'openai', 'aiohttp') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
