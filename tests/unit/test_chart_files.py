"""The chart's files agree with what they are made of: kinds, comments, dashboards, alerts and their runbooks."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from generate_chart import CHART, chart_files, documented_values
from generate_dashboards import DASHBOARDS, FOLDER

ROOT = Path(__file__).parents[2]
VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
ALERTS = (CHART / "templates" / "alerts.yaml").read_text(encoding="utf-8")
QUERIES = [query.expression for board in DASHBOARDS.values() for panel in board.panels for query in panel.queries]


@pytest.mark.parametrize("path", chart_files(), ids=lambda path: path.name)
def test_a_generated_file_is_what_its_source_says(path):
    assert path.read_text(encoding="utf-8") == chart_files()[path], "run `make chart`"


@pytest.mark.parametrize(("held", "source"), [("crds", "crds/*.yaml"), ("providers", "config/main_*.toml")])
def test_the_chart_holds_all_of_its_sources_and_no_other(held, source):
    assert {path.name for path in (CHART / "files" / held).iterdir()} == {path.name for path in ROOT.glob(source)}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_what_the_code_says(name):
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == DASHBOARDS[name].text(), "run `make chart`"


def test_every_panel_says_what_it_shows_and_fits_its_row():
    for board in DASHBOARDS.values():
        for panel in board.panels:
            assert panel.said.endswith(".")
            assert 0 < panel.width <= 24
        for _, panels in board.rows:
            assert sum(panel.width for panel in panels) % 24 == 0


def test_every_value_is_documented_by_its_own_comment_or_that_of_a_key_around_it():
    documented = documented_values(VALUES)
    known = {value.key for value in documented}
    assert [key for key in leaves(yaml.safe_load(VALUES)) if not covered(key, known)] == []
    assert all(value.comment.endswith(".") for value in documented)


def leaves(value: object, prefix: str = "") -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield prefix
        return
    for key, below in value.items():
        yield from leaves(below, f"{prefix}.{key}" if prefix else key)


def covered(key: str, known: set[str]) -> bool:
    steps = key.split(".")
    return any(".".join(steps[:count]) in known for count in range(2 if len(steps) > 1 else 1, len(steps) + 1))


def test_the_schema_knows_every_value_and_nothing_else():
    def keys(found: Any, prefix: str = "") -> set[str]:
        below = {
            key
            for name, part in found.get("properties", {}).items()
            for key in keys(part, f"{prefix}.{name}" if prefix else name)
        }
        return below or {prefix}

    def defaults(value: Any, prefix: str, known: set[str]) -> set[str]:
        if prefix in known or not isinstance(value, dict):
            return {prefix}
        return {
            key for name, part in value.items() for key in defaults(part, f"{prefix}.{name}" if prefix else name, known)
        }

    known = {key for key in keys(SCHEMA) if not key.endswith((".requests", ".limits", ".claims")) and key != "global"}
    known |= {key.rpartition(".")[0] for key in keys(SCHEMA) if key.endswith((".requests", ".limits"))}
    assert defaults(yaml.safe_load(VALUES), "", known) == known


def test_the_schema_refuses_unknown_keys_at_every_level():
    def objects(found: Any):
        if isinstance(found, dict):
            if "properties" in found:
                yield found
            for part in found.values():
                yield from objects(part)

    assert all(found["additionalProperties"] is False for found in objects(SCHEMA))


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    named = dict(re.findall(r"alert: (\w+)[\s\S]+?/([a-z-]+\.md)", ALERTS))
    pages = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "runbooks").iterdir()}
    assert len(named) == 9
    assert set(named.values()) == set(pages)
    for alert, page in named.items():
        assert pages[page].startswith(f"# {alert}: ")


def test_alerts_and_dashboards_ask_for_metrics_that_the_operator_has():
    source = "".join(
        (ROOT / "operator" / "isobench" / "controller" / name).read_text(encoding="utf-8")
        for name in ("metrics.py", "object_metrics.py")
    )
    defined = set(re.findall(r'"(isobench_\w+)"', source))
    suffixes = re.compile(r"_(total|bucket|sum|count)$")
    for expression in [*QUERIES, *re.findall(r"expr: ([\s\S]+?)for:|expr: (.+)", ALERTS)]:
        asked = set(re.findall(r"isobench_\w+", "".join(expression)))
        assert asked
        assert {suffixes.sub("", name) for name in asked} <= defined
