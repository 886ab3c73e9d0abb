"""Plans: which commits become items, how they are cut into batches, and what the manifests say."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from isobench.adapters.manifests import manifest_text
from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.objects import COMMITS_PER_BATCH, CommitBenchmarkBatch
from isobench.contracts.spec import InputsSpec
from isobench.engine.plan import items_of
from isobench.engine.planning import (
    LONGEST_NAME,
    PlannedItem,
    PlanOptions,
    Shared,
    batch_of,
    parts_of,
    shared_of,
    without_duplicates,
)

URL = "https://git.example/lab/project.git"
HASHES = st.text("0123456789abcdef", min_size=40, max_size=40)


def item(number: int) -> PlannedItem:
    return PlannedItem(f"{number:040x}", None, f"line {number}")


def configured(**sections) -> Configuration:
    return Configuration.model_validate(sections)


def shared(configuration: Configuration | None = None, **options) -> Shared:
    return shared_of(configuration or Configuration(), URL, "lab/project", PlanOptions(**options))


@given(st.lists(st.builds(PlannedItem, st.integers(0, 5).map(lambda n: f"{n:040x}"), st.none() | HASHES, st.text())))
def test_the_first_item_of_each_head_stays_and_every_other_gets_a_line(items):
    kept, dropped = without_duplicates(items)
    assert [entry.head for entry in kept] == list(dict.fromkeys(entry.head for entry in items))
    assert all(entry is next(one for one in items if one.head == entry.head) for entry in kept)
    assert len(kept) + len(dropped) == len(items)


def test_the_line_of_a_duplicate_names_both_places():
    _, (line,) = without_duplicates([PlannedItem("a" * 40, None, "a.json"), PlannedItem("a" * 40, None, "b.json")])
    assert line == f"b.json: commit {'a' * 40} is planned by a.json already"


@given(st.integers(0, 3 * COMMITS_PER_BATCH + 1))
def test_parts_hold_everything_once_in_order_and_none_is_too_large(count):
    items = [item(number) for number in range(count)]
    parts = list(parts_of(items, "set"))
    assert [entry for _, part in parts for entry in part] == items
    assert all(1 <= len(part) <= COMMITS_PER_BATCH for _, part in parts)
    names = [name for name, _ in parts]
    assert names == (["set"] if len(parts) == 1 else [f"set-{number}" for number in range(1, len(parts) + 1)])


@given(st.text(), st.sampled_from("aZ0"), st.text(alphabet="aA0._-/ é", max_size=90))
def test_a_batch_has_a_name_that_a_cluster_takes(before, letter, after):
    name = shared(name=before[:40] + letter + after).name
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= LONGEST_NAME
    assert batch_of(f"{name}-12345", [item(1)], shared(), None, None).metadata.name == f"{name}-12345"


@pytest.mark.parametrize("name", ["...", "é", "-"])
def test_a_name_without_letters_and_digits_is_refused(name):
    with pytest.raises(InvalidInput, match="no letter or digit"):
        shared(name=name)


@pytest.mark.parametrize(
    ("configuration", "name", "batch", "dataset"),
    [
        (configured(), None, "project", "project"),
        (configured(), "Fast Set", "fast-set", "Fast Set"),
        (configured(output={"dataset_name": "lab/set"}), None, "lab-set", "lab__set"),
        (configured(output={"dataset_name": "set"}), "run", "run", "set"),
        (configured(publish={"hf_repo": "https://hub.example/datasets/lab/hub-set"}), None, "project", "hub-set"),
        (configured(output={"dataset_name": "set"}, publish={"hf_repo": "lab"}), None, "set", "set"),
    ],
)
def test_batch_and_dataset_are_called_as_configured(configuration, name, batch, dataset):
    found = shared(configuration, name=name)
    assert (found.name, found.template.output.dataset) == (batch, dataset)


def test_publishing_without_a_repository_is_refused():
    with pytest.raises(InvalidInput, match="push_to_hf is on"):
        shared(configured(publish={"push_to_hf": True}))


def test_the_template_takes_over_what_is_configured():
    configuration = configured(
        timing={"min_pairs": 20},
        environment={"install_commands": ["pip install ."]},
        agent={"budget_usd": 0.5},
        repository={"url": "elsewhere", "main_ref": "origin/develop"},
        output={"api": "project.call"},
        publish={"push_to_hf": True, "hf_repo": "lab/set", "min_records": 5},
    )
    found = shared(configuration, mode="online", budget_usd=12.0)
    template = found.template
    assert template.timing == configuration.timing
    assert template.environment == configuration.environment
    assert template.agent == configuration.agent
    assert (template.repository.url, template.repository.main_ref) == (URL, "origin/develop")
    assert (template.mode, template.api, found.budget_usd) == ("online", "project.call", 12.0)
    assert template.test.generate is None
    assert found.publish.repo == "lab/set"


def test_generation_is_asked_for_by_the_configured_provider():
    configuration = configured(llm={"provider": "anthropic", "model": "model-1", "budget_usd": 0.25})
    asked = shared(configuration, generate=True).template.test.generate
    assert (asked.provider, asked.model, asked.budget_usd) == ("anthropic", "model-1", 0.25)


def test_later_parts_share_the_first_ones_budget():
    common = shared(budget_usd=3.0)
    first = batch_of("set-1", [item(1)], common, None, None).spec
    second = batch_of("set-2", [item(2)], common, None, "set-1").spec
    assert (first.budget_usd, first.budget_ref) == (3.0, None)
    assert (second.budget_usd, second.budget_ref) == (None, "set-1")


@given(st.lists(st.tuples(HASHES, st.none() | HASHES), min_size=1, max_size=5, unique_by=lambda pair: pair[0]))
def test_a_manifest_reads_back_as_the_batch_that_it_was_written_from(pairs):
    items = [PlannedItem(head, base, "") for head, base in pairs]
    inputs = InputsSpec(uri="set.inputs.tar.gz", sha256="0" * 64)
    batch = batch_of("set", items, shared(configured(timing={"cores": 2})), inputs, None)
    read = CommitBenchmarkBatch.parse(yaml.safe_load(manifest_text(batch)), "manifest")
    assert read == batch
    assert [(spec.commits.head, spec.commits.base) for spec in items_of(read)] == pairs


@pytest.mark.parametrize("base", ["1234567", "12e4567", "0123456", "0123489", "1e10000"])
def test_a_hash_that_looks_like_a_number_is_quoted(base):
    text = manifest_text(batch_of("set", [PlannedItem("a" * 40, base, "")], shared(), None, None))
    assert f"base: '{base}'" in text


def test_a_manifest_leaves_out_what_is_as_by_default():
    written = yaml.safe_load(manifest_text(batch_of("set", [item(1)], shared(), None, None)))
    assert written["spec"] == {
        "commits": [{"head": f"{1:040x}"}],
        "template": {"repository": {"url": URL}, "output": {"dataset": "project"}},
    }
