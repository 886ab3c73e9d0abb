"""Peak memory of dry batches: a thousand items must need no more than a hundred."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).resolve().parents[1] / "commit_to_dataset.py"
ITEMS: Final = (100, 1000)

# The process tells its own peak: what its children, git's above all, need is not the batch's.
TELLS_ITS_PEAK: Final = """
import atexit, resource, runpy, sys
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def measure_memory(mirror: Path, folder: Path) -> str:
    """Run dry batches over extraction files of the newest commits; a table and the numbers as JSON."""
    shutil.rmtree(folder, ignore_errors=True)
    measured = {items: _run_dry(mirror, folder / str(items), items) for items in ITEMS}
    lines = [f"{'items':>6} {'peak MiB':>9} {'seconds':>8}"]
    lines += [f"{items:6} {peak:9.1f} {seconds:8.1f}" for items, (peak, seconds) in measured.items()]
    described = {"benchmark": "dry_memory", "repository": mirror.stem}
    batches = [{"items": items, "peak_mib": peak, "seconds": seconds} for items, (peak, seconds) in measured.items()]
    return "\n".join([*lines, json.dumps({**described, "batches": batches})])


def _run_dry(mirror: Path, folder: Path, items: int) -> tuple[float, float]:
    """Peak in MiB, and seconds."""
    extractions = folder / "extractions"
    extractions.mkdir(parents=True)
    _extract(mirror, extractions, items)
    configuration = folder / "main_local.toml"
    configuration.write_text(
        '[llm]\nprovider = "local"\nmodel = "local-model"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[pricing."local-model"]\ninput = 1.0\noutput = 1.0\n'
        f"[repository]\nurl = {json.dumps(str(mirror))}\n"
        f"[paths]\nextractions_dir = {json.dumps(str(extractions))}\n"
    )
    command = [sys.executable, "-c", TELLS_ITS_PEAK, str(SCRIPT), str(configuration), "--mode=dry", "--generate"]
    places = ["--work-root", str(folder / "work"), "--data-dir", str(folder / "data")]
    started = time.perf_counter()
    finished = subprocess.run([*command, *places], env=os.environ, capture_output=True, text=True)
    if finished.returncode != 0 or f"\n{items} items" not in finished.stdout:
        raise SystemExit(f"the dry batch failed: {finished.stdout[-300:]}{finished.stderr[-700:]}")
    return int(finished.stderr.split()[-1]) / 1024, time.perf_counter() - started


def _extract(mirror: Path, folder: Path, items: int) -> None:
    """Extraction files with the real subjects and patches of the newest commits."""
    log = ["git", "-C", str(mirror), "log", "--no-merges", f"-{items}", "--format=%x00%H%n%P%n%s%n%B%x01", "-p", "HEAD"]
    text = subprocess.run(log, check=True, stdout=subprocess.PIPE).stdout.decode(errors="replace")
    for entry in text.split("\0")[1:]:
        described, _, diff = entry.partition("\x01")
        head, parent, subject, message = described.split("\n", 3)
        extraction = {
            "commit_hash": head,
            "parent_hash": parent,
            "commit_subject": subject,
            "commit_message": message,
            "diff_text": diff.strip("\n"),
        }
        (folder / f"{head}.json").write_text(json.dumps(extraction))
