"""The long kill test: SIGKILL at random instants, restart until done; writes the table that docs/soak.md shows."""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from building.bench import Bench
from building.killing import Campaign, Kill, campaigns, draw_instants, timed_run, write_manifest
from building.swift_history import write_history
from soak_page import findings, page

REPORT = Path("docs/soak.md")
HEADINGS = ("kill", "work root", "instant", "the run was in", "processes left after 10 s")


def main() -> int:
    """Kill, restart, compare; 1 when anything was lost, repeated, torn or left behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instants", type=int, default=50, help="how many kills (default 50)")
    parser.add_argument("--seed", type=int, default=2026, help="of the instants (default 2026)")
    parser.add_argument("--report", type=Path, default=REPORT, help=f"where the table goes (default {REPORT})")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isobench-soak-") as folder:
        ended, length = soak(Path(folder), asked.instants, asked.seed)
    command = f"python scripts/soak.py --instants {asked.instants} --seed {asked.seed}"
    asked.report.write_text(report(ended, length, command))
    wrong = sum(len(campaign.wrong) + sum(len(kill.left) for kill in campaign.kills) for campaign in ended)
    print(f"soak: {asked.instants} kills on {len(ended)} work roots, {wrong} findings; see {asked.report}")
    return 1 if wrong else 0


def soak(folder: Path, instants: int, seed: int) -> tuple[list[Campaign], float]:
    """All campaigns, and the length of a run that is not killed in seconds."""
    swift = write_history(folder / "swift")
    reference = Bench(folder / "reference")
    events = timed_run(reference, write_manifest(reference, swift))
    ended = []
    for campaign in campaigns(folder, swift, reference, draw_instants(seed, instants, events)):
        ended.append(campaign)
        told = "; ".join(campaign.wrong) or "nothing lost, repeated or torn"
        print(f"soak: work root {len(ended)}: {len(campaign.kills)} kills, {told}", flush=True)
    return ended, events[-1][0]


def report(ended: Sequence[Campaign], length: float, command: str) -> str:
    """The page: how it was made, what held, and every kill."""
    kills = [(number, kill) for number, campaign in enumerate(ended, start=1) for kill in campaign.kills]
    stages = Counter(kill.during.split()[0] for _, kill in kills)
    wrong = [f"work root {number}: {line}" for number, root in enumerate(ended, start=1) for line in root.wrong]
    wrong += [f"work root {number}: still alive: {line}" for number, kill in kills for line in kill.left]
    found = findings(
        f"{len(kills)} kills on {len(ended)} work roots ({_counted(stages)}):",
        "nothing was lost, repeated, torn or left behind.",
        wrong,
    )
    table = [HEADINGS, *(_row(number, root, kill) for number, (root, kill) in enumerate(kills, start=1))]
    return page("killed at any instant, started again", command, _story(length), found, table)


def _story(length: float) -> Sequence[str]:
    return (
        "A batch of three items (two are recorded, one does not build) is started; its process alone is killed by",
        f"SIGKILL at a random instant of the {length:.1f} s that it takes; it is started again until it ends. Every",
        "third instant aims at a stage. Then the batch is compared with one that was never killed: one record per item",
        "with the same values, one journal per item with the same outcome, every JSON file whole, every tree and",
        "environment whole, no process left; and one more start does nothing.",
    )


def _counted(stages: Counter[str]) -> str:
    return ", ".join(f"{count} in {stage}" for stage, count in stages.most_common())


def _row(number: int, root: int, kill: Kill) -> Sequence[str]:
    after = f" after the start of {kill.instant.stage}" if kill.instant.stage else ""
    return str(number), str(root), f"{kill.instant.seconds:.3f} s{after}", kill.during, str(len(kill.left))


if __name__ == "__main__":
    sys.exit(main())
