"""The samples: a manifest per use, each taken by a real API server and understood by the operator."""

from pathlib import Path

import pytest
import yaml

from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.controller.item import Item
from isobench.controller.providers import Providers
from isobench.engine.plan import items_of

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "config/samples").glob("*.yaml"))
USES = {
    "batch-demo",
    "batch-publish",
    "batch-service-account",
    "batch-several-repositories",
    "batch-shared-budget",
    "item-agent",
    "item-generated-test",
    "item-gpu",
    "item-kueue",
    "item-offline",
    "item-shared-claim",
}


@pytest.fixture(scope="module")
def kinds(kinds_anywhere):
    return kinds_anywhere


def documents(sample):
    return [found for found in yaml.safe_load_all(sample.read_text(encoding="utf-8")) if found]


def test_there_is_a_manifest_per_use():
    assert {sample.stem for sample in SAMPLES} >= USES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_says_what_it_is_for(sample):
    assert sample.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_is_applied_and_changes_nothing_when_applied_again(kinds, sample):
    count = len(documents(sample))
    try:
        assert kinds.kubectl("apply", "-f", str(sample)).count(" created") == count
        assert kinds.kubectl("apply", "-f", str(sample)).count(" unchanged") == count
    finally:
        kinds.kubectl("delete", "-f", str(sample), "--ignore-not-found", "--wait=false")


def items(sample):
    for document in documents(sample):
        if document["kind"] == "CommitBenchmark":
            yield Item.read(document)
        elif document["kind"] == "CommitBenchmarkBatch":
            for spec in items_of(CommitBenchmarkBatch.parse(document, sample.name)):
                yield Item.read({"spec": spec.manifest()})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_the_operator_can_take_what_a_sample_asks_for_and_knows_its_models_prices(sample):
    providers = Providers.in_folder(ROOT / "config")
    for item in items(sample):
        for stage in item.plan.stages:
            told = providers.of(item.spec, stage)
            assert told is None or told.llm.model in told.pricing
