"""Where things are in an item's folder; names only, nothing is opened here."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from isobench.contracts.record import Arm

# Of equal length, so that no arm's argument list or paths differ in size from another's.
ARM_FOLDERS: dict[Arm, str] = {
    "base": "arm-b",
    "head": "arm-h",
    "main": "arm-m",
    "agent": "arm-a",
    "control": "arm-c",
}


@dataclass(frozen=True)
class Workspace:
    """An item's folder: the same names locally (`state/runs/<run_id>/<item_id>`) and as object keys on a cluster."""

    root: Path

    @property
    def status(self) -> Path:
        """The item's state: `CommitBenchmarkStatus`."""
        return self.root / "status.json"

    @property
    def item(self) -> Path:
        """What was asked: `CommitBenchmarkSpec`."""
        return self.root / "item.json"

    @property
    def journal(self) -> Path:
        """The journal; its presence says that the attempt ended."""
        return self.root / "journal.json"

    @property
    def fetched(self) -> Path:
        """What `fetch` leaves for `build` on a cluster: `Fetched`."""
        return self.root / "fetched.json"

    @property
    def extraction(self) -> Path:
        """What the batch's inputs say of the commit, on a cluster: `Extraction`."""
        return self.root / "extraction.json"

    @property
    def prepared(self) -> Path:
        """What `prepare` found and built: `Prepared`."""
        return self.root / "prepared.json"

    @property
    def finished(self) -> Path:
        """How other arms' environments looked before the agent's was built; gone once they are known to do so still."""
        return self.root / "finished.json"

    @property
    def test(self) -> Path:
        """The efficiency test as it was supplied or generated."""
        return self.root / "test.py"

    @property
    def timed(self) -> Path:
        """What `timing` measured: `Timed`."""
        return self.root / "timed.json"

    @property
    def record(self) -> Path:
        """The record as it went into the dataset."""
        return self.root / "record.json"

    def api(self, arm: Arm) -> Path:
        """An arm's public names."""
        return self.root / "api" / f"{arm}.json"

    @property
    def scripts(self) -> Path:
        """The folder of the scripts that are timed."""
        return self.root / "scripts"

    def script(self, arm: Arm) -> Path:
        """The test as adapted to ``arm``."""
        return self.scripts / ARM_FOLDERS[arm] / "test.py"

    @property
    def probes(self) -> Path:
        """The folder of all probe runs."""
        return self.root / "probe"

    def probe(self, stage: str) -> Path:
        """The folder of a stage's probe run: request, result, log."""
        return self.probes / stage

    def attempt(self, number: int) -> Path:
        """The folder of an agent's attempt: its task, its repository at first, how its process ended, its steps."""
        return self.root / "agent" / str(number)

    @property
    def outcome(self) -> Path:
        """What became of the last attempt of an agent: `Attempt`."""
        return self.root / "agent" / "outcome.json"

    @property
    def prompt(self) -> Path:
        """What the agent was given: `Assignment`."""
        return self.root / "prompt.json"

    @property
    def task(self) -> Path:
        """What the agent was told, as text."""
        return self.root / "task.txt"

    def agent_output(self, stream: str) -> Path:
        """What the agent's process printed: ``stream`` is stdout or stderr."""
        return self.root / f"openhands_{stream}.txt"

    @property
    def patch(self) -> Path:
        """The agent's patch: its changes to targets."""
        return self.root / "model_patch.diff"

    @property
    def prediction(self) -> Path:
        """The patch as harnesses of the field read it."""
        return self.root / "prediction.jsonl"

    def ledger(self) -> Path:
        """The folder of paid calls: intents, answers, started markers."""
        return self.root / "ledger"

    @property
    def generation_ledger(self) -> Path:
        """The paid calls of the model that writes the test."""
        return self.ledger() / "generate.jsonl"

    @property
    def agent_ledger(self) -> Path:
        """The paid calls of the agent's model."""
        return self.ledger() / "agent.jsonl"


@dataclass(frozen=True)
class Room:
    """Where an agent works. Its path tells nothing of the item: an item's folder names the human commit."""

    root: Path

    @property
    def repository(self) -> Path:
        """The agent's repository and worktree."""
        return self.root / "repository"

    @property
    def folder(self) -> Path:
        """What the agent leaves beside its changes."""
        return self.root / "folder"

    @property
    def scratch(self) -> Path:
        """Its home and temporary files."""
        return self.root / "scratch"

    @property
    def control(self) -> Path:
        """What its supervisor writes; out of its reach."""
        return self.root / "control"

    @property
    def socket(self) -> Path:
        """Where the gateway listens."""
        return self.root / "gateway" / "sock"


def room_of(rooms: Path, run_id: str, item_id: str, attempt: int) -> Room:
    """The room of one attempt in the folder of all ``rooms``."""
    return Room(rooms / hashlib.sha256(f"{run_id}/{item_id}/{attempt}".encode()).hexdigest()[:12])
