"""The agent's arm is built from a fresh tree, and compared with base on inputs that nobody was shown."""

from dataclasses import replace
from pathlib import Path

import pytest

from building.attempts import FASTER, TARGET
from building.swift_history import TEST
from isobench.adapters.files import read_model
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import Reason
from isobench.stages import build_agent

RIGHT_WHERE_SHOWN = f"""
cat > {TARGET} <<'END'
_KNOWN = 149999

def total(n):
    return _KNOWN if n == 50_000 else 1
END
python - <<'END'
import re, pathlib, subprocess
sums = sum(i * i % 7 for i in range(50_000))
path = pathlib.Path("{TARGET}")
path.write_text(path.read_text().replace("149999", str(sums)))
END
"""
WRONG = f"{FASTER}; sed -i 's/return result/return result + 1/' {TARGET}"
BROKEN = f"echo 'raise RuntimeError(7)' >> {TARGET}"


def arms(bench):
    return {arm.name: arm for arm in read_model(bench.workspace.prepared, Prepared).arms}


def test_equal_results_on_hidden_inputs_are_a_success(bench):
    ended = bench.built_attempt(FASTER)
    assert ended.facts == {"agent": "succeeded"}
    assert bench.outcome.message == "equal results on 2 hidden inputs"
    agent, base = arms(bench)["agent"], arms(bench)["base"]
    assert len(agent.tree) == len(base.tree)
    assert len(agent.environment) == len(base.environment)
    assert "PASSES = 1" in (Path(agent.tree) / TARGET).read_text()
    assert "PASSES = 4" in (Path(base.tree) / TARGET).read_text()


def test_the_arm_is_built_again_over_what_a_kill_left(bench):
    bench.built_attempt(FASTER)
    (Path(arms(bench)["agent"].tree) / "torn").touch()
    request = bench.request({"command": ["true"]}).model_copy(update={"stage": "build-agent"})
    assert build_agent.run(request, bench.build_ports()).succeeded
    assert not (Path(arms(bench)["agent"].tree) / "torn").exists()
    assert list(arms(bench)) == ["base", "agent"]


@pytest.mark.parametrize(
    ("script", "doubt"),
    [
        (WRONG, "the efficiency test's result differs from base's"),
        (RIGHT_WHERE_SHOWN, "differs from base's on inputs that were not shown"),
        (BROKEN, "the efficiency test fails on the patch"),
    ],
    ids=["wrong", "right only where it is looked at", "broken"],
)
def test_a_patch_that_computes_something_else_is_unverified_and_not_timed(bench, script, doubt):
    ended = bench.built_attempt(script)
    assert (bench.outcome.outcome, bench.outcome.success) == ("unverified", False)
    assert doubt in bench.outcome.message
    assert "agent" not in arms(bench)
    assert ended.reason is Reason.AGENT_ERROR


def test_a_test_without_a_seed_proves_nothing(bench):
    bench.pair = replace(bench.pair, test=TEST)
    assert bench.built_attempt(FASTER).facts == {"agent": "unverified"}
    assert "agent" in arms(bench)
    assert "reads no seed from ISOBENCH_SEED" in bench.outcome.message


@pytest.mark.parametrize(
    ("commands", "outcome", "said"),
    [
        (["python -c 'import swift; assert swift.total(8) == 14'", "false"], "succeeded", "1 check commands pass"),
        (["false"], "unverified", "no check passes on base"),
        (["grep -q 'PASSES = 4' swift/__init__.py"], "unverified", "passes on base and fails on the patch"),
    ],
)
def test_a_projects_own_checks_prove_it_where_they_pass_on_base(bench, commands, outcome, said):
    bench.pair = replace(bench.pair, test=TEST)
    bench.changes = {"environment": {"checkCommands": commands}}
    bench.built_attempt(FASTER)
    assert bench.outcome.outcome == outcome
    assert said in bench.outcome.message


def test_a_patch_that_does_not_build_is_unverified_and_not_timed(bench):
    ended = bench.built_attempt(f"printf '\\\\xff' >> {TARGET}")
    assert ended.reason is Reason.AGENT_ERROR
    assert bench.outcome.outcome == "unverified"
    assert "agent" not in arms(bench)
