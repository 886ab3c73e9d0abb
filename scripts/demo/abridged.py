"""Prints the demo's record of `more_itertools.all_equal` as README shows it: what is long is cut to its beginning."""

import json
from pathlib import Path
from typing import Any

from isobench.adapters.dataset import DatasetFile

LEFT_OUT = ("api", "notes", "patch_functions", "test_functions", "test_patch", "setup_commands", "install_commands")
LONG = 40
SAMPLES = 3


def main() -> None:
    """Print it."""
    rows = DatasetFile(Path("data") / "demo.jsonl").rows()
    row = next(row for row in rows if row["repo"].endswith("all-equal"))
    shown = {key: value for key, value in row.items() if key not in LEFT_OUT and not key.startswith("api_manifest")}
    for key in ("arms", "isolation", "machine", "main_commit", "notes", "sampling", "version"):
        shown["measurement"].pop(key, None)
    del shown["measurement"]["comparisons"][1:]
    print(json.dumps(abridge(shown), indent=1, ensure_ascii=False))


def abridge(value: Any) -> Any:
    """``value`` with short texts, few samples and four digits."""
    match value:
        case dict():
            return {key: abridge(part) for key, part in value.items()}
        case list() if len(value) > SAMPLES and all(isinstance(part, float) for part in value):
            return ", ".join(f"{part:.4g}" for part in value[:SAMPLES]) + ", …"
        case list():
            return [abridge(part) for part in value]
        case float():
            return float(f"{value:.4g}")
        case str() if len(value) > LONG:
            return value.splitlines()[0][:LONG] + "…"
        case _:
            return value


if __name__ == "__main__":
    main()
