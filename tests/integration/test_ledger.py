"""The ledger on disk: nothing that was acknowledged is lost, whenever its writer is killed."""

import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from isobench.adapters.models.ledger import Ledger, claim, read_entries
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.money import Grant, Intent, Prices, Usage, answered, balance

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GRANTED = Grant(100, Decimal("0.25"))
PRICES = Prices(Decimal(1), Decimal(1), Decimal(1))

WRITER = """
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from isobench.adapters.models.ledger import Ledger
from isobench.engine.money import Grant, Prices, Usage, answered

prices = Prices(Decimal(1), Decimal(1), Decimal(1))
with closing(Ledger(Path(sys.argv[1]))) as ledger:
    while True:
        intent = ledger.intend(1, "m", 10, Grant(100, Decimal("0.25")), datetime.now(UTC))
        print("intent", intent.call, flush=True)
        ledger.settle(answered(intent, Usage(10, 5), prices, datetime.now(UTC)))
        print("answer", intent.call, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger" / "generate.jsonl"


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """What a full disk looks like to a writer, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_is_there_for_the_next_writer(path: Path) -> None:
    with closing(Ledger(path)) as ledger:
        intent = ledger.intend(1, "m", 10, GRANTED, NOW)
        ledger.settle(answered(intent, Usage(10, 5, 4, 2), PRICES, NOW))
        ledger.intend(2, "m", 10, GRANTED, NOW)
        before = ledger.balance
    with closing(Ledger(path)) as ledger:
        assert ledger.balance == before
        assert ledger.intend(2, "m", 10, GRANTED, NOW).call == 3
    assert before.reserved_usd == Decimal("0.25")


def test_a_ledger_is_lines_of_plain_json(path: Path) -> None:
    with closing(Ledger(path)) as ledger:
        ledger.intend(1, "m", 10, GRANTED, NOW)
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == {
        "kind": "intent",
        "call": 1,
        "attempt": 1,
        "at": "2026-01-02T00:00:00Z",
        "model": "m",
        "prompt_tokens": 10,
        "max_tokens": 100,
        "reserved_usd": "0.25",
    }


@pytest.mark.parametrize("left", [1, 20, 60, -1])
def test_a_torn_last_line_is_cut_off_and_writing_goes_on(path: Path, left: int) -> None:
    with closing(Ledger(path)) as ledger:
        intent = ledger.intend(1, "m", 10, GRANTED, NOW)
        whole = path.stat().st_size
        ledger.settle(answered(intent, Usage(10, 5), PRICES, NOW))
    torn = path.read_bytes()
    path.write_bytes(torn[: whole + left] if left > 0 else torn[:left])
    assert balance(read_entries(path)).reserved_usd == Decimal("0.25")
    with closing(Ledger(path)) as ledger:
        assert ledger.balance.reserved_usd == Decimal("0.25")
        ledger.settle(answered(intent, Usage(10, 5), PRICES, NOW))
    assert len(read_entries(path)) == 2


def test_a_line_that_cannot_be_read_stops_all_spending(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"kind":"intent"}\n')
    for read in (Ledger, read_entries):
        with pytest.raises(ItemFailure, match="line 1 of") as failure:
            read(path)
        assert failure.value.reason is Reason.PAID_ATTEMPT_LOST


def test_there_is_one_writer_at_a_time(path: Path) -> None:
    with closing(Ledger(path)), pytest.raises(ItemFailure, match="in use by another gateway"):
        Ledger(path)
    with closing(Ledger(path)) as ledger:
        assert ledger.balance.charged_usd == 0


def test_no_ledger_has_no_entries(path: Path) -> None:
    assert read_entries(path) == []


@pytest.mark.parametrize("room", [0, 1, 100])
def test_an_intent_that_does_not_fit_on_the_disk_was_never_made(path: Path, room: int) -> None:
    with closing(Ledger(path)) as ledger:
        ledger.intend(1, "m", 10, GRANTED, NOW)
        with files_limited_to(path.stat().st_size + room), pytest.raises(OSError, match=r"too large|No space left"):
            ledger.intend(1, "m", 10, GRANTED, NOW)
        assert ledger.balance.reserved_usd == Decimal("0.25")
        assert ledger.intend(1, "m", 10, GRANTED, NOW).call == 2
    assert [entry.call for entry in read_entries(path)] == [1, 2]


@pytest.mark.parametrize("seed", range(10))
def test_a_writer_killed_at_any_moment_loses_nothing_that_it_had_acknowledged(path: Path, seed: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().split() for _ in range(random.Random(seed).randint(1, 40))]
    writer.kill()
    acknowledged += [line.split() for line in writer.stdout.read().splitlines()]
    writer.wait()
    writer.stdout.close()
    with closing(Ledger(path)) as ledger:
        after = ledger.balance
    written = {("intent" if isinstance(entry, Intent) else "answer", entry.call) for entry in read_entries(path)}
    assert {(kind, int(call)) for kind, call in acknowledged} <= written
    answers = sum(kind == "answer" for kind, _ in written)
    assert after.spent_usd == answers * PRICES.cost(Usage(10, 5))
    assert after.reserved_usd == (len(written) - 2 * answers) * Decimal("0.25")


def test_an_attempt_starts_once(tmp_path: Path) -> None:
    claim(tmp_path, "generate", 1)
    claim(tmp_path, "generate", 2)
    with pytest.raises(ItemFailure, match="attempt 1 at generate was started before") as failure:
        claim(tmp_path, "generate", 1)
    assert failure.value.reason is Reason.ALREADY_STARTED
    assert sorted(marker.name for marker in tmp_path.iterdir()) == ["generate-1.started", "generate-2.started"]


def test_a_line_that_gives_money_back_is_no_line_of_ours(tmp_path):
    path = tmp_path / "agent.jsonl"
    forged = {"kind": "answer", "call": 1, "at": "2026-01-01T12:00:00Z", "outcome": "answered", "spent_usd": "-1000"}
    path.write_text(json.dumps(forged) + "\n")
    with pytest.raises(ItemFailure) as refused:
        Ledger(path)
    assert refused.value.reason is Reason.PAID_ATTEMPT_LOST
