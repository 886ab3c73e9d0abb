"""Whether the patched project computes what base does: on inputs that nobody was shown, and by its own checks."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isobench.adapters.agents.supervisor import Bounds, Kept, Supervisor
from isobench.adapters.agents.workplace import agent_environment, empty_room
from isobench.adapters.isolation.folders import clear
from isobench.adapters.isolation.probe_runner import ProbeRunner, Progress
from isobench.contracts.prepared import Prepared
from isobench.contracts.record import Arm
from isobench.contracts.stage import StageRequest
from isobench.engine.agent_outcome import Check
from isobench.engine.agent_task import SEED_VARIABLE
from isobench.engine.probe_request import probe_request, seed_of
from isobench.engine.workspace import Room, Workspace, room_of
from isobench.stages.adapted_scripts import write_scripts
from isobench.stages.timing import WRAP_UP_SECONDS

HIDDEN = 2
"""How many seeds that the agent was not shown are tried."""

SEEDS = 2**31
TAIL_CHARACTERS = 300
STREAMS = ("stdout", "stderr")

Arms = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What the probe says of base and of the agent's arm."""

SupervisorOf = Callable[[Prepared, Sequence[Path], Sequence[Path]], Supervisor]
"""A supervisor, given what is readable and what is writable in its sandbox."""


def check_results(
    request: StageRequest,
    prepared: Prepared,
    workspace: Workspace,
    runner: ProbeRunner,
    cores: Sequence[int],
    progress: Progress,
) -> Check:
    """Run the test on both arms: as it is, and on seeds of our own; equal digests of each are the proof."""
    pair = prepared.model_copy(update={"arms": [arm for arm in prepared.arms if arm.name in ("base", "agent")]})
    write_scripts(workspace, prepared)
    timing = request.spec.timing.model_copy(update={"protocol": "single"})
    asked = probe_request(timing, pair, workspace, cores, request.item_id)
    limit = 2 * timing.run_timeout_seconds + WRAP_UP_SECONDS

    def run(seed: int | None) -> Arms:
        result = runner.run(_seeded(asked, seed), workspace.probe("check"), limit, progress)
        return result["arms"]["base"], result["arms"]["agent"]

    base, agent = run(None)
    if agent["reason"]:
        return Check(objection=f"the efficiency test fails on the patch: {_said(agent)}")
    if base["result_sha256"] != agent["result_sha256"]:
        return Check(objection="the efficiency test's result differs from base's")
    if base["result_sha256"] is None:
        return Check(lack="the efficiency test prints no result_sha256")
    return _on_hidden_inputs(run, base["result_sha256"], f"{request.run_id}/{request.item_id}")


def _on_hidden_inputs(run: Callable[[int | None], Arms], shown: str, identity: str) -> Check:
    for number in range(HIDDEN):
        base, agent = run(seed_of(f"{identity}/hidden/{number}") % SEEDS)
        if base["reason"] or base["result_sha256"] == shown:
            lack = (
                f"the efficiency test reads no seed from {SEED_VARIABLE}: it could be checked on its shown inputs only"
            )
            return Check(lack=f"{lack}; give environment.checkCommands")
        if agent["reason"]:
            return Check(objection=f"the efficiency test fails on inputs that were not shown: {_said(agent)}")
        if agent["result_sha256"] != base["result_sha256"]:
            return Check(objection="the efficiency test's result differs from base's on inputs that were not shown")
    return Check(proof=f"equal results on {HIDDEN} hidden inputs")


def _seeded(asked: dict[str, Any], seed: int | None) -> dict[str, Any]:
    if seed is None:
        return asked
    arms = [arm | {"environment": arm["environment"] | {SEED_VARIABLE: str(seed)}} for arm in asked["arms"]]
    return asked | {"arms": arms}


def _said(arm: Mapping[str, Any]) -> str:
    return f"{arm['message']} {arm['output_tail'][-TAIL_CHARACTERS:]}".strip()


def check_by_commands(request: StageRequest, prepared: Prepared, rooms: Path, supervisor: SupervisorOf) -> Check:
    """Run `environment.checkCommands`; those that pass on base must pass on the agent's arm."""
    room = room_of(rooms, request.run_id, f"{request.item_id}/checks", request.attempt)
    passed = 0
    try:
        for command in request.spec.environment.check_commands or ():
            checker = _Checker(
                command, float(request.spec.environment.build_timeout_seconds), room, prepared, supervisor
            )
            if checker.failure_on("base") is not None:
                continue  # base does not pass it either: it says nothing
            if failure := checker.failure_on("agent"):
                return Check(objection=f"the check {command!r} passes on base and fails on the patch: {failure}")
            passed += 1
    finally:
        if room.root.exists():
            clear(room.root)
    return Check(proof=f"{passed} check commands pass as on base") if passed else Check(lack="no check passes on base")


@dataclass(frozen=True)
class _Checker:
    """Runs one command in copies of arms' trees, confined as an agent is."""

    command: str
    seconds: float
    room: Room
    prepared: Prepared
    supervisor: SupervisorOf

    def failure_on(self, name: Arm) -> str | None:
        """Why it fails on that arm; None when it passes."""
        arm = self.prepared.arm(name)
        assert arm is not None  # base and agent were built
        assert arm.python is not None
        assert arm.environment is not None
        empty_room(self.room)
        shutil.copytree(arm.tree, self.room.repository, symlinks=True)
        kept = Kept(
            arguments=("bash", "-c", self.command),
            environment=agent_environment(self.room, Path(arm.python), ()),
            directory=self.room.repository,
            python=Path(arm.python),
            readable=[Path(arm.environment)],
            writable=[self.room.repository, self.room.scratch],
        )
        supervisor = self.supervisor(self.prepared, kept.readable, [self.room.root])
        ending = supervisor.run(kept, Bounds(seconds=self.seconds), self.room.control)
        if ending.exit_code == 0 and ending.stopped is None:
            return None
        printed = [(self.room.control / f"{stream}.txt").read_text("utf-8", "replace") for stream in STREAMS]
        return ending.stopped or f"exit {ending.exit_code}: {''.join(printed).strip()[-TAIL_CHARACTERS:]}"
