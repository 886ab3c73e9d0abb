"""Kills the supervisor of paid attempts at random instants; writes the table that docs/soak-supervisor.md shows."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from building.paid import CALLS
from building.paid_kills import PaidKill, kills
from building.swift_history import write_history
from soak_page import findings, page

REPORT = Path("docs/soak-supervisor.md")
HEADINGS = ("kill", "when", "begun", "calls made", "it came to", "charged", "provider's books")
STORY = (
    f"An attempt of {CALLS} model calls by the real gateway is started; its supervisor is killed by SIGKILL, in",
    "turn while a call waits for its answer and at a random instant; the attempt is started again, twice. One that",
    "had begun (`ledger/agent-1.started`) asks nothing more; its ledger charges at least what the provider's books",
    "say, the call without an answer at its reserve.",
)


def main() -> int:
    """Kill, start again, compare; 1 when anything was repeated, charged otherwise than once, or left behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how many (default 30)")
    parser.add_argument("--seed", type=int, default=2026, help="of the instants (default 2026)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isobench-soak-") as folder:
        swift = write_history(Path(folder) / "swift", plain=0)
        struck = list(kills(Path(folder), swift, asked.kills, asked.seed))
    wrong = [f"kill {number}: {line}" for number, kill in enumerate(struck, start=1) for line in kill.wrong]
    command = f"python scripts/soak_supervisor.py --kills {asked.kills} --seed {asked.seed}"
    REPORT.write_text(report(struck, wrong, command))
    print(f"soak: {asked.kills} kills of a supervisor, {len(wrong)} findings; see {REPORT}")
    return 1 if wrong else 0


def report(struck: list[PaidKill], wrong: list[str], command: str) -> str:
    """The page: how it was made, what held, and every kill."""
    begun = sum(kill.begun for kill in struck)
    counted = f"{len(struck)} kills, {begun} of them after the attempt had begun:"
    found = findings(counted, "nothing was repeated, charged twice or left behind.", wrong)
    table = [HEADINGS, *(_row(number, kill) for number, kill in enumerate(struck, start=1))]
    return page("the supervisor of a paid attempt, killed at any instant", command, STORY, found, table)


def _row(number: int, kill: PaidKill) -> tuple[str, ...]:
    begun = "yes" if kill.begun else "no"
    money = (f"${kill.charged_usd:.6f}", f"${kill.provided_usd:.6f}")
    return (str(number), kill.instant, begun, str(kill.calls), kill.ended, *money)


if __name__ == "__main__":
    sys.exit(main())
