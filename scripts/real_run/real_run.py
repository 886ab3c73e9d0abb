"""The real run: performance commits of public repositories with history, recorded or skipped with a true reason."""

import argparse
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from isobench.adapters.files import read_json, read_model, write_text
from isobench.contracts.objects import BatchCommit, BatchSpec, CommitBenchmarkBatch, Metadata
from isobench.contracts.spec import EfficiencyTest, EnvironmentSpec, RepositorySpec
from isobench.contracts.status import CommitBenchmarkStatus, ResultSummary, StageName, StageStatus
from isobench.contracts.timed import Timed
from isobench.local.batch_state import BatchRun, ItemRow, batch_file, read_status, workspace_of
from isobench.local.display import measured
from isobench.local.work_root import WorkRoot

HERE = Path(__file__).parent
NAME = "real-run"
WORK = Path(".work")
TABLE = Path("docs/real-run.md")


def main() -> int:
    """Run the batch, or go on with it, and write the closing table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clones", type=Path, help="folder of local clones <owner>/<name>; the public URLs by default")
    arguments = parser.parse_args()
    repositories = tomllib.loads((HERE / "commits.toml").read_text())["repository"]
    commits = [planned for repository in repositories for planned in plan(repository, arguments.clones)]
    manifest = WORK / f"{NAME}.yaml"
    WORK.mkdir(exist_ok=True)
    batch = CommitBenchmarkBatch(metadata=Metadata(name=NAME), spec=BatchSpec(commits=commits))
    manifest.write_text(yaml.safe_dump(batch.manifest(), sort_keys=False))
    exit_code = subprocess.run([sys.executable, "-m", "isobench", "run", str(manifest)], check=False).returncode
    if exit_code in (0, 1):
        write_text(TABLE, table())
    return 0 if exit_code in (0, 1) else exit_code


def plan(repository: dict[str, Any], clones: Path | None) -> list[BatchCommit]:
    """The items of one repository."""
    url = str((clones / repository["name"]).absolute()) if clones else repository["url"]
    commands = repository.get("install_commands")
    return [
        BatchCommit(
            head=sha,
            repository=RepositorySpec(url=url),
            test=EfficiencyTest(inline=(HERE / "tests" / f"{sha}_test_case_generator.py").read_text()),
            environment=EnvironmentSpec(install_commands=commands) if commands else None,
        )
        for sha in repository["commits"]
    ]


def table() -> str:
    """The closing table in Markdown: every item with what became of it, and the counts."""
    root = WorkRoot(WORK.absolute())
    run = BatchRun.parse(read_json(batch_file(root, NAME)), NAME)
    statuses = {row: read_status(workspace_of(root, row)) for row in run.items}
    reasons = Counter(outcome_of(status) for status in statuses.values())
    verdicts = Counter(verdict_of(status.result) for status in statuses.values() if status.result)
    lines = [
        "# A run over real commits",
        "",
        "Written by `python scripts/real_run/real_run.py`, which runs the commits of `scripts/real_run/commits.toml`.",
        "",
        f"{len(statuses)} items: {counted(reasons)}. Verdicts on base:head: {counted(verdicts)}.",
        "",
        "| repository | head | outcome | base:head | seconds: all, timing |",
        "|---|---|---|---|---|",
        *(line(row, status) for row, status in statuses.items()),
        "",
        "Items without a verdict, and why:",
        "",
        *(f"- `{row.head[:8]}`: {why(root, row)}" for row, status in statuses.items() if unmeasured(status)),
    ]
    return "\n".join(lines) + "\n"


def line(row: ItemRow, status: CommitBenchmarkStatus) -> str:
    """One item's row."""
    repository = row.run_id.split("/")[0].replace("__", "/")
    timed = status.latest(StageName.TIMING)
    result = measured(status.result) if status.result and status.result.verdict else first_sentence(timed)
    total, timing = seconds(status)
    return f"| {repository} | {row.head[:8]} | {outcome_of(status)} | {result} | {total:.0f}, {timing:.0f} |"


def outcome_of(status: CommitBenchmarkStatus) -> str:
    """The reason that the item ended with."""
    return status.outcome.reason if status.outcome else "unfinished"


def unmeasured(status: CommitBenchmarkStatus) -> bool:
    """Whether the item has no verdict: it was skipped, or its samples are no measurement."""
    return status.result is None or status.result.verdict is None


def first_sentence(timed: StageStatus | None) -> str:
    """Why there is no measurement, in a word; nothing where nothing was timed."""
    return (timed.message or "").split(":")[0] if timed else ""


def why(root: WorkRoot, row: ItemRow) -> str:
    """What keeps base:head from a verdict, or what kept the item from timing."""
    workspace = workspace_of(root, row)
    if not workspace.timed.exists():
        outcome = read_status(workspace).outcome
        return outcome.message.splitlines()[0] if outcome and outcome.message else "nothing was said"
    measurement = read_model(workspace.timed, Timed).measurement
    assert measurement is not None  # the protocol is not `single`
    note = next(note for note in measurement.notes if note.startswith(("base:head", "base: ", "head: ")))
    return f"{measurement.reason}: {note}"


def verdict_of(result: ResultSummary) -> str:
    """The verdict, or that there is none."""
    return result.verdict or "no measurement"


def counted(counts: Counter[str]) -> str:
    """Counts in words."""
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def seconds(status: CommitBenchmarkStatus) -> tuple[float, float]:
    """How long the item took, and how much of it was timing."""
    spent = {
        stage.name: (stage.finished_at - stage.started_at).total_seconds()
        for stage in status.stages
        if stage.started_at and stage.finished_at
    }
    return sum(spent.values()), spent.get("timing", 0.0)


if __name__ == "__main__":
    sys.exit(main())
