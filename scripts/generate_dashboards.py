"""Writes the Grafana dashboards into the chart: `make chart`."""

from pathlib import Path

from dashboards.cost import COST
from dashboards.throughput import THROUGHPUT

DASHBOARDS = {"cost": COST, "throughput": THROUGHPUT}
FOLDER = Path(__file__).parents[1] / "charts" / "isobench" / "files" / "dashboards"


def main() -> None:
    """Write one file a dashboard."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, board in DASHBOARDS.items():
        path = FOLDER / f"{name}.json"
        path.write_text(board.text(), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
