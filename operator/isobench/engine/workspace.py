"""Where things are in an item's folder; names only, nothing is opened here."""

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

    def ledger(self) -> Path:
        """The folder of paid calls: intents, answers, started markers."""
        return self.root / "ledger"
