"""One run of an agent in its room: what it may reach, how it is started, and how it ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.agents.protocol import Agent, AgentTask
from isobench.adapters.agents.supervisor import Bounds, Kept, Supervisor
from isobench.adapters.agents.workplace import agent_environment, begin_branch, empty_room
from isobench.adapters.models.gateway_process import Gateway
from isobench.contracts.attempt import Assignment, Ended
from isobench.contracts.prepared import PreparedArm
from isobench.engine.agent_task import import_roots
from isobench.engine.money import Prices
from isobench.engine.workspace import Room
from isobench.stages.agent_assignment import Given

KILLED = -9


@dataclass(frozen=True)
class Run:
    """An agent with its assignment, in its room, with base's environment."""

    agent: Agent
    assignment: Assignment
    room: Room
    base: PreparedArm
    prices: Prices | None = None

    def reach(self) -> tuple[Sequence[Path], Sequence[Path]]:
        """What has to be in its sandbox to read, and to write."""
        return self._readable(), [self.room.root]

    def task(self, gateway: Gateway | None) -> AgentTask:
        """The task as the agent is told it."""
        asked = self.assignment
        return AgentTask(
            repository=self.room.repository,
            folder=self.room.folder,
            text=asked.prompt,
            targets=tuple(asked.targets),
            max_iterations=asked.max_iterations,
            budget_usd=asked.budget_usd,
            timeout_seconds=60 * asked.timeout_minutes,
            model=asked.model,
            prices=self.prices,
            gateway=gateway,
        )

    def kept(self, task: AgentTask) -> Kept:
        """Its process, and what that may reach."""
        command = self.agent.command(task)
        assert self.base.python is not None  # base is always ready
        python, tree = Path(self.base.python), Path(self.base.tree)
        roots = import_roots(task.targets, lambda path: (tree / path).is_file())
        room = self.room
        return Kept(
            arguments=command.arguments,
            environment={**agent_environment(room, python, roots), **command.environment},
            directory=room.repository,
            python=python,
            readable=[*self._readable(), *command.readable],
            writable=[room.repository, room.folder, room.scratch],
            stdin=command.stdin,
            sockets=self.assignment.network == "open",
        )

    def _readable(self) -> list[Path]:
        assert self.base.environment is not None  # base is always ready
        return [Path(self.base.environment)]


def prepare_room(room: Room, make_repository: Callable[[Path], Path], given: Given) -> None:
    """Make everything that the agent finds."""
    empty_room(room)
    make_repository(room.repository)
    begin_branch(room.repository, given.assignment.branch, given.assignment.test, given.test)


def run_agent(run: Run, gateway: Gateway | None, supervisor: Supervisor) -> Ended:
    """Run it to its end.

    Raises:
        ItemFailure: AGENT_ERROR; it could not be confined.
    """
    task = run.task(gateway)
    ending = supervisor.run(run.kept(task), Bounds(seconds=task.timeout_seconds), run.room.control)
    end = run.agent.read_end(run.room.folder, ending.exit_code if ending.exit_code is not None else KILLED)
    return Ended(
        how=end.how,
        message=end.message[:1000],
        stopped=ending.stopped,
        out_of_time=ending.out_of_time,
        exit_code=ending.exit_code,
        iterations=end.iterations,
        seconds=ending.seconds,
    )
