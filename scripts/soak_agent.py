"""Random conversations of the real OpenHands, some killed midway; writes the table that docs/soak-agent.md shows."""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from agent.conversing import Warm
from agent.gambling import Played, play
from isobench.adapters.agents.openhands.adapter import OpenHands
from soak_page import findings, page

REPORT = Path("docs/soak-agent.md")
HEADINGS = ("", "killed", "ended", "how many", "calls", "charged by the provider", "most of a cap")
STORY = (
    "The real OpenHands SDK talks through the metering gateway with a provider that answers at random: tool calls,",
    "wrong tools, false usage, errors, half and broken answers, whole and streamed, in both shapes of the",
    "protocol. In the killed ones the conversation or the gateway gets SIGKILL while the provider answers, and a",
    "second conversation goes on with the same ledger and cap. The provider keeps books of its own: every answer",
    "that it began to give, at list prices.",
)


def main() -> int:
    """Converse, kill, compare the books; 1 when the provider's pass a cap or ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=200, help="that nobody kills (default 200)")
    parser.add_argument("--kills", type=int, default=30, help="that are killed and begun again (default 30)")
    parser.add_argument("--seed", type=int, default=2026, help="of the first one (default 2026)")
    parser.add_argument("--report", type=Path, default=REPORT, help=f"where the table goes (default {REPORT})")
    asked = parser.parse_args()
    agent = OpenHands()
    if (missing := agent.missing()) is not None:
        print(missing, file=sys.stderr)
        return 1
    assert agent.python is not None
    played = []
    for number, one in enumerate(soak(agent.python, asked.conversations, asked.kills, asked.seed), start=1):
        played.append(one)
        if one.wrong or number % 10 == 0:
            print(f"soak: {number} conversations; seed {one.seed}: {'; '.join(one.wrong) or 'fine'}", flush=True)
    command = f"python {sys.argv[0]} --conversations {asked.conversations} --kills {asked.kills} --seed {asked.seed}"
    asked.report.write_text(report(played, command))
    wrong = sum(len(one.wrong) for one in played)
    print(f"soak: {len(played)} conversations, {wrong} findings; see {asked.report}")
    return 1 if wrong else 0


def soak(python: Path, conversations: int, kills: int, seed: int) -> Iterator[Played]:
    """All conversations, one warm process behind them."""
    warm = Warm(python)
    try:
        for number in range(conversations + kills):
            with tempfile.TemporaryDirectory(prefix="isobench-soak-") as folder:
                yield play(seed + number, warm, Path(folder), kill=number >= conversations)
    finally:
        warm.close()


def report(played: Sequence[Played], command: str) -> str:
    """The page: how it was made, what held, and how the conversations ended."""
    over = max((one.overspent_usd for one in played), default=Decimal(0))
    wrong = [f"seed {one.seed}: {problem}" for one in played for problem in one.wrong]
    counted = f"{len(played)} conversations: the most that was spent beyond a cap is ${over:f}."
    title = "random conversations, and processes that are killed in them"
    return page(title, command, STORY, findings(counted, "Nothing was wrong.", wrong), [HEADINGS, *_rows(played)])


def _rows(played: Sequence[Played]) -> Iterator[Sequence[str]]:
    kinds = Counter((one.killed, " → ".join(one.ends)) for one in played)
    for number, ((killed, ends), count) in enumerate(sorted(kinds.items()), start=1):
        those = [one for one in played if (one.killed, " → ".join(one.ends)) == (killed, ends)]
        charged = sum((one.provider_usd for one in those), Decimal(0))
        most = max(one.provider_usd / one.cap_usd for one in those)
        calls = sum(one.asked for one in those)
        yield str(number), killed or "nobody", ends, str(count), str(calls), f"${charged:.4f}", f"{most:.0%}"


if __name__ == "__main__":
    sys.exit(main())
