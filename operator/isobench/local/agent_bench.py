"""The agent's stages on this machine: who may run when, and by which model."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from isobench.adapters.agents.registry import agent_in_image, agent_of
from isobench.adapters.agents.supervisor import Supervisor
from isobench.adapters.git.agent_repository import create_agent_repository
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.inputs import Supplies
from isobench.adapters.isolation.sandbox import Isolation, MachineSandbox
from isobench.adapters.models.gateway_process import Gateway, running_gateway
from isobench.adapters.models.llm import LLMConfigManager
from isobench.contracts.base import InvalidInput
from isobench.contracts.prepared import Prepared
from isobench.contracts.stage import StageRequest
from isobench.local.batch_budget import BatchBudget
from isobench.local.batch_state import Item, charged_usd
from isobench.local.turns import Turns
from isobench.local.work_root import WorkRoot
from isobench.stages.agent import AgentPorts, AskedModel
from isobench.stages.agent_checks import SupervisorOf
from isobench.stages.attempt import Clock


@dataclass(frozen=True)
class AgentBench:
    """Gives an agent's stage what it needs."""

    root: WorkRoot
    llm: LLMConfigManager
    supplies: Supplies
    budget: BatchBudget
    turns: Turns
    clock: Clock
    contained: bool
    """Whether agents run in containers of their image."""

    def ports(
        self, item: Item, repository: Callable[[], RepoManager], supervisor: SupervisorOf, probe: Path
    ) -> AgentPorts:
        """The ports of the stage for ``item``; ``supervisor`` is the one where arms were built."""

        def make_repository(prepared: Prepared, path: Path) -> Path:
            return create_agent_repository(repository(), prepared.commits.base_commit, path)

        return AgentPorts(
            workspace=item.workspace,
            clock=self.clock,
            rooms=self.root.agents,
            scratch=self.root.temporary,
            agent=agent_in_image if self.contained else agent_of,
            repository=make_repository,
            supervisor=_reaching(item, supervisor, probe),
            model=lambda request: self._model(item, request),
            extraction=self.supplies.extraction,
            grant=lambda: self._grant(item),
            turn=self.turns.one,
        )

    def _grant(self, item: Item) -> AbstractContextManager[None]:
        """What the item's test has cost, and the attempt's cap."""
        most = charged_usd(item.workspace) + Decimal(str(item.spec.agent.budget_usd))
        return self.budget.grant(item.workspace, float(most))

    def _model(self, item: Item, request: StageRequest) -> AskedModel:
        asked = item.spec.agent
        self.llm.require_usable(asked.model)
        name = self.llm.model(asked.model)

        def gateway(socket: Path) -> AbstractContextManager[Gateway]:
            settings = self.llm.gateway_settings(
                item.workspace.agent_ledger,
                request.attempt,
                asked.budget_usd,
                name,
                max_calls=asked.max_iterations,
                socket=socket,
            )
            return running_gateway(settings, item.workspace.attempt(request.attempt) / "gateway.log")

        return AskedModel(name, self.llm.prices(name), gateway)


def _reaching(item: Item, ordinary: SupervisorOf, probe: Path) -> SupervisorOf:
    """Agents run where the arms were built, in the agent's own image where it has one, or with a network if asked."""

    def supervisor(prepared: Prepared, readable: Sequence[Path], writable: Sequence[Path]) -> Supervisor:
        asked = item.spec.agent
        if asked.network == "gateway":
            image = asked.image or prepared.image if prepared.image else None
            return ordinary(prepared.model_copy(update={"image": image}), readable, writable)
        if prepared.image is not None:
            raise InvalidInput("agent.network", ["containers have no network: take --container=off, or `gateway`"])
        return Supervisor(probe, MachineSandbox(Isolation.NONE))

    return supervisor
