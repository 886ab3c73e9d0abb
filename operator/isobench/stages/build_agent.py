"""build-agent: the agent's arm from a fresh base tree and the checked patch, then whether it computes what base does.

Nothing of the agent's own worktree is used. Whether the patch is right decides the attempt's outcome; whether it is
faster, timing says.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.agents.supervisor import Supervisor
from isobench.adapters.files import read_json, read_model, write_json, write_model
from isobench.adapters.git.patches import PatchRefused, apply_patch
from isobench.adapters.isolation import machine_lock
from isobench.adapters.isolation.probe_runner import ProbeRunner, Progress
from isobench.adapters.python.built_environment import BuildRequest
from isobench.adapters.python.environments import EnvironmentBuilder, built_before
from isobench.adapters.python.finished_environments import looks_of, touched
from isobench.contracts.attempt import Attempt
from isobench.contracts.prepared import Prepared, PreparedArm
from isobench.contracts.reasons import ItemFailure
from isobench.contracts.stage import StageRequest, StageResult
from isobench.engine.agent_outcome import Verification, verification_of, verified
from isobench.engine.workspace import Workspace
from isobench.stages.agent import failure_of, told
from isobench.stages.agent_assignment import base_arm
from isobench.stages.agent_checks import check_by_commands, check_results
from isobench.stages.attempt import Clock, Done, attempt


@dataclass(frozen=True)
class BuildAgentPorts:
    """What `build-agent` reaches the outside world by."""

    workspace: Workspace
    clock: Clock
    trees: Path
    rooms: Path
    builder: EnvironmentBuilder
    probe: Callable[[Prepared], ProbeRunner]
    supervisor: Callable[[Prepared, Sequence[Path], Sequence[Path]], Supervisor]
    cores: Sequence[int]
    progress: Progress


def run(request: StageRequest, ports: BuildAgentPorts) -> StageResult:
    """Leave the arm in `prepared.json`, where it can be timed, and the final `agent/outcome.json`."""
    return attempt(request, ports.clock, ports.workspace.root, lambda: _build_agent(request, ports))


def _build_agent(request: StageRequest, ports: BuildAgentPorts) -> Done:
    workspace = ports.workspace
    prepared = read_model(workspace.prepared, Prepared)
    others = prepared.model_copy(update={"arms": [arm for arm in prepared.arms if arm.name != "agent"]})
    judged = read_model(workspace.outcome, Attempt)  # before the patch's own build can run anything
    verification = _try_beside(request, others, ports)
    outcome = verified(judged, verification)
    write_model(workspace.outcome, outcome)
    if verification.refuted:
        write_model(workspace.prepared, others)
        raise failure_of(outcome)
    return told(outcome)


def _try_beside(request: StageRequest, others: Prepared, ports: BuildAgentPorts) -> Verification:
    """Try the patch and see that it left the others' environments alone; a try that was broken off has not said so."""
    finished = ports.workspace.finished
    if not finished.exists():
        write_json(finished, looks_of(others.arms))
    looks = read_json(finished)
    verification = _try(request, others, ports)
    if changed := touched(others.arms, looks):
        what = f"the environment of {' and '.join(changed)} changed while the patch was built and tried"
        return Verification(what, refuted=True, tampered=True)
    finished.unlink()
    return verification


def _try(request: StageRequest, prepared: Prepared, ports: BuildAgentPorts) -> Verification:
    patch = ports.workspace.patch.read_bytes()
    base = base_arm(prepared)
    name = hashlib.sha256(Path(base.tree).name.encode() + patch).hexdigest()
    tree = ports.trees / f"{name[:16]}-0"
    try:
        apply_patch(patch, Path(base.tree), tree)
        arm = _build(request, prepared, tree, name, ports)
    except PatchRefused as refusal:
        return Verification(f"the patch does not apply to base: {refusal.complaint}", refuted=True)
    except ItemFailure as failure:
        return Verification(f"the patched tree does not build: {failure.message}", refuted=True)
    with_agent = prepared.model_copy(update={"arms": [*prepared.arms, arm]})
    write_model(ports.workspace.prepared, with_agent)
    return _verify(request, with_agent, ports)


def _build(
    request: StageRequest, prepared: Prepared, tree: Path, tree_hash: str, ports: BuildAgentPorts
) -> PreparedArm:
    base = base_arm(prepared)
    assert base.environment is not None  # base is always ready
    like = built_before(Path(base.environment), base.python_version or "")
    asked = BuildRequest(
        tree=tree,
        tree_hash=tree_hash,
        distribution=prepared.commits.repo.rpartition("/")[2],
        spec=request.spec.environment,
        version=prepared.base_version,
        like=like,
    )
    with machine_lock.building():
        built = ports.builder.build(asked)
    return PreparedArm(
        name="agent",
        commit=base.commit,
        tree=str(tree),
        environment=str(built.path),
        python=str(built.python),
        python_version=built.python_version,
        install_sha=built.install_sha,
        api_manifest=base.api_manifest,  # the test is adapted as it is for base
    )


def _verify(request: StageRequest, prepared: Prepared, ports: BuildAgentPorts) -> Verification:
    runner = ports.probe(prepared)
    checks = [check_results(request, prepared, ports.workspace, runner, ports.cores, ports.progress)]
    if request.spec.environment.check_commands and not checks[0].objection:
        checks.append(check_by_commands(request, prepared, ports.rooms, ports.supervisor))
    return verification_of(checks)
