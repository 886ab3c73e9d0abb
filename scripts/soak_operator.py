"""The operator's long kill test: SIGKILL while it starts, works and waits; writes docs/soak-operator.md."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cluster.api_server import Access, api_server
from cluster.operator_kills import AT_REST, LONGEST_REST, STAGES, Campaign, Kill, campaign
from soak_page import findings, page

ROOT = Path(__file__).parents[1]
REPORT = Path("docs/soak-operator.md")
HEADINGS = ("kill", "when", "Jobs made until then", "stages that ran")


def main() -> int:
    """Kill, restart, count; 1 when anything was lost, repeated or counted wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how many (default 50)")
    parser.add_argument("--seed", type=int, default=2026, help="of the instants (default 2026)")
    parser.add_argument("--report", type=Path, default=REPORT, help=f"where the table goes (default {REPORT})")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isobench-soak-") as folder, api_server(Path(folder)) as access:
        install(access)
        told = campaign(access.kubeconfig, 2 + asked.kills, asked.kills, asked.seed)
    command = f"python scripts/soak_operator.py --kills {asked.kills} --seed {asked.seed}"
    asked.report.write_text(report(told, command))
    wrong = told.wrong()
    print(f"soak: {asked.kills} kills of the operator, {len(wrong)} findings; see {asked.report}")
    return 1 if wrong else 0


def install(access: Access) -> None:
    """Our kinds, served."""
    access.kubectl("apply", "--filename", str(ROOT / "crds"))
    access.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def report(told: Campaign, command: str) -> str:
    """The page: how it was made, what held, and every kill."""
    story = (
        "A real API server, the operator in a process of its own, and a test that plays kubelet and Job controller.",
        f"A batch of {len(told.items)} items, each with an agent that costs money, four at a time; the operator is",
        "killed by SIGKILL and started again: a moment after it made a Job that was drawn or, with a chance of",
        f"{AT_REST:.0%}, while nothing ends, at a moment of its first {LONGEST_REST:g} s: its start, and its waiting.",
    )
    counted = f"{len(told.kills)} kills, {told.made.total()} Jobs made ({len(STAGES)} an item, and one export):"
    found = findings(counted, "nothing was lost, repeated or counted wrong.", told.wrong())
    rows = (
        (str(number), _when(kill), str(kill.jobs), ", ".join(kill.running) or "none")
        for number, kill in enumerate(told.kills, start=1)
    )
    return page("the operator killed at any moment of a batch", command, story, found, [HEADINGS, *rows])


def _when(kill: Kill) -> str:
    return "after a Job" if kill.rest is None else f"at rest, {kill.rest:.1f} s after its start"


if __name__ == "__main__":
    sys.exit(main())
