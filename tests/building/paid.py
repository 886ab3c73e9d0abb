"""An agent that asks its model a few times and then edits: what a paid attempt is, without any SDK."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from building.attempts import TARGET, AttemptBench
from isobench.adapters.agents.command import CommandAgent
from isobench.adapters.agents.protocol import AgentCommand, AgentTask
from isobench.adapters.files import write_model
from isobench.adapters.models.gateway_process import Gateway, GatewaySettings, running_gateway
from isobench.contracts.configuration import Price
from isobench.contracts.stage import StageRequest
from isobench.engine.money import Prices
from isobench.stages import agent
from isobench.stages.agent import AskedModel

PRICE = Price(input=2.0, output=8.0)
CAP_USD = 1.0
CALLS = 4
PROGRAM = f"""
import http.client, json, os, socket, sys

told = json.load(sys.stdin)

class Gateway(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        worktree, (folder, name) = os.getcwd(), os.path.split(told["socket"])
        os.chdir(folder)  # a test's own path may be longer than a socket's address
        self.sock.connect(name)
        os.chdir(worktree)

for number in range({CALLS}):
    gateway = Gateway("gateway")
    body = json.dumps({{"model": "m", "max_tokens": 100, "messages": [{{"role": "user", "content": "go on"}}]}})
    headers = {{"Authorization": "Bearer " + told["token"], "Content-Type": "application/json"}}
    gateway.request("POST", "/v1/chat/completions", body, headers)
    answer = gateway.getresponse()
    print(answer.status, answer.read()[:200].decode(), flush=True)

path = "{TARGET}"
text = open(path).read().replace("PASSES = 4", "PASSES = 1")
open(path, "w").write(text)
"""


@dataclass(frozen=True)
class PaidAgent(CommandAgent):
    """Runs a program that is told of the gateway by its input."""

    arguments: tuple[str, ...] = ("python3", "-c", PROGRAM)
    asks_a_model = True

    def command(self, task: AgentTask) -> AgentCommand:
        assert task.gateway is not None
        told = {"socket": str(task.gateway.socket), "token": task.gateway.token}
        return AgentCommand(self.arguments, stdin=json.dumps(told).encode())


@dataclass(frozen=True)
class Paying:
    """The ports of a paid attempt at an item of ``bench``, by the provider at ``base_url``."""

    bench: AttemptBench
    base_url: str
    who: PaidAgent = PaidAgent()
    key: str = "sk-key-of-the-person-who-pays"

    def ports(self) -> agent.AgentPorts:
        return self.bench.ports(agent=lambda asked: self.who, model=self._model)

    def request(self) -> StageRequest:
        return self.bench.request({"command": ["unused"], "model": "m", "budgetUsd": CAP_USD, "maxIterations": 20})

    def attempt(self, result: Path) -> None:
        """Make the attempt in this process, and write how the stage ended."""
        write_model(result, agent.run(self.request(), self.ports()))

    def _model(self, request: StageRequest) -> AskedModel:
        ledger = self.bench.workspace.agent_ledger

        def gateway(socket: Path) -> AbstractContextManager[Gateway]:
            settings = GatewaySettings(
                upstream=self.base_url,
                key=self.key,
                pricing={"m": PRICE},
                cap_usd=CAP_USD,
                ledger=ledger,
                attempt=request.attempt,
                timeout_seconds=30,
                default_max_tokens=100,
                socket=socket,
            )
            return running_gateway(settings, self.bench.workspace.attempt(request.attempt) / "gateway.log")

        return AskedModel("m", Prices.of(PRICE), gateway)
