"""A paid attempt at an item whose disk fills up while the last call is answered, and its second life with space.

full_disk.py FOLDER LEFT: FOLDER/item is a small file system of its own; LEFT bytes of it are free when the agent ends.
Prints how both lives ended, what the ledger charges, and what the provider was asked.
"""

import json
import sys
from pathlib import Path

from building.attempts import AttemptBench, Pair
from building.paid import CALLS, PROGRAM, PaidAgent, Paying
from building.paid_kills import ANSWER, charged
from building.swift_history import write_history
from isobench.contracts.stage import StageResult
from isobench.stages import agent
from llmserver import Asked, Says, running_model

TALKATIVE = PaidAgent(("python3", "-c", f"{PROGRAM}\nprint('a long story ' * 40_000)"))


def main() -> None:
    """Run it."""
    folder, left = Path(sys.argv[1]), int(sys.argv[2])
    swift = write_history(folder / "swift", plain=1)
    bench = AttemptBench(folder, Pair.of_swift(swift))
    bench.prepare()
    ballast = folder / "item" / "ballast"

    def last(_: Asked) -> Says:
        fill(ballast, left)
        return ANSWER

    with running_model([*[ANSWER] * (CALLS - 1), last]) as provider:
        paying = Paying(bench, provider.base_url, TALKATIVE)
        first = life(paying)
        ballast.unlink()
        second = life(paying)
        print(json.dumps({"first": first, "second": second, "asked": len(provider.asked)}))


def life(paying: Paying) -> dict[str, object]:
    """How the stage ends, and what is charged by then."""
    ended: StageResult = agent.run(paying.request(), paying.ports())
    return {**ended.model_dump(mode="json"), "charged_usd": str(charged(paying))}


def fill(ballast: Path, left: int) -> None:
    """Take all the space that there is but ``left`` bytes."""
    with ballast.open("wb", buffering=0) as stream:
        size = 0
        try:
            while written := stream.write(bytes(4096)):
                size += written
        except OSError:
            stream.truncate(size - left)


if __name__ == "__main__":
    main()
