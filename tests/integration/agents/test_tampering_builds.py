"""A patch whose build changes what it is compared with: the attempt has tampered, and nothing is timed beside it."""

import os
from dataclasses import replace

import pytest

from building.attempts import FASTER, TARGET
from building.items import NOON
from building.projects import write_pip
from isobench.adapters.files import read_model
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.status import StageName
from isobench.stages import build_agent, timing

SLOWS_BASE = f"""
cat >> {TARGET} <<'END'

import pathlib
for module in pathlib.Path.cwd().parents[2].glob("*/venv/lib/python3*/site-packages/{TARGET}"):
    module.write_text(module.read_text().replace("PASSES = 4", "PASSES = 9"))
END
"""
"""A patch that, where it is imported while the agent's arm is built, makes base slow."""


@pytest.fixture
def importing(bench, tmp_path):
    """A bench whose builds import the code that they build, by a command of the item's author."""
    write_pip(tmp_path / "links")
    person = {"PATH": os.environ["PATH"], "UV_OFFLINE": "1", "UV_FIND_LINKS": str(tmp_path / "links")}
    bench.builder = EnvironmentBuilder(bench.folder / "work", find_uv(), person)
    bench.changes = {"environment": {"setupCommands": ["python -c 'import swift'"]}}
    return bench


def timed(bench):
    ports = bench.build_ports()
    asked = bench.request({"command": ["true"]}).model_copy(update={"stage": StageName.TIMING})
    return timing.run(asked, timing.TimingPorts(bench.workspace, lambda: NOON, ports.probe, ports.cores, print))


def test_a_patch_whose_build_changes_base_has_tampered_and_base_is_not_timed(importing):
    ended = importing.built_attempt(SLOWS_BASE)
    assert ended.reason is Reason.AGENT_ERROR
    assert importing.outcome.outcome == "tampered"
    assert "the environment of base changed while the patch was built and tried" in importing.outcome.message
    assert read_model(importing.workspace.prepared, Prepared).arm("agent") is None
    refused = timed(importing)
    assert (refused.succeeded, refused.reason) == (False, Reason.BUILD_FAILED)
    assert "while the agent's arm was built, the finished environment of base changed" in refused.message


def test_what_a_try_changed_that_was_broken_off_is_found_by_the_next(importing):
    def lost(prepared):
        raise ItemFailure(Reason.INFRASTRUCTURE_ERROR, "the node went away")

    whole = importing.build_ports
    importing.build_ports = lambda: replace(whole(), probe=lost)
    assert importing.built_attempt(SLOWS_BASE).reason is Reason.INFRASTRUCTURE_ERROR
    request = importing.request({"command": ["true"]}).model_copy(update={"stage": StageName.BUILD_AGENT})
    build_agent.run(request, whole())
    assert importing.outcome.outcome == "tampered"


def test_nothing_is_kept_of_an_attempt_that_left_base_alone(bench):
    bench.built_attempt(FASTER)
    assert not bench.workspace.finished.exists()
