"""The CRDs: what is committed is what the contracts say, and it is what an API server takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from building.items import HEAD, manifest, spec
from isobench.contracts.objects import BatchSpec, CommitBenchmark, CommitBenchmarkBatch
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.status import CommitBenchmarkStatus
from isobench.engine.crd import BATCH_MUTABLE, ITEM_MUTABLE, KINDS, custom_resource_definition

ROOT = Path(__file__).parents[2]
DEFINITIONS = {kind.plural: custom_resource_definition(kind) for kind in KINDS}
JSON_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


def version(plural: str) -> dict[str, Any]:
    return DEFINITIONS[plural]["spec"]["versions"][0]


def schema(plural: str, *path: str) -> dict[str, Any]:
    found = version(plural)["schema"]["openAPIV3Schema"]
    for step in path:
        found = found["properties"][step]
    return found


def nodes(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield found
    for below in [*found.get("properties", {}).values(), *(found[key] for key in _SINGLE if key in found)]:
        yield from nodes(below)


_SINGLE = ("items", "additionalProperties")


def everywhere() -> Iterator[dict[str, Any]]:
    for plural in DEFINITIONS:
        yield from nodes(schema(plural))


def complaints(value: Any, found: dict[str, Any], at: str = "") -> list[str]:
    """What a structural schema has against ``value``, as an API server with strict validation would say it."""
    if not isinstance(value, JSON_TYPES[found["type"]]) or (isinstance(value, bool) and found["type"] != "boolean"):
        return [f"{at}: {found['type']}"]
    said = []
    if "enum" in found and value not in found["enum"]:
        said.append(f"{at}: enum")
    if "pattern" in found and not re.search(found["pattern"], value):
        said.append(f"{at}: pattern")
    if "minimum" in found and (
        value < found["minimum"] or (found.get("exclusiveMinimum") and value == found["minimum"])
    ):
        said.append(f"{at}: minimum")
    if "maximum" in found and (
        value > found["maximum"] or (found.get("exclusiveMaximum") and value == found["maximum"])
    ):
        said.append(f"{at}: maximum")
    if isinstance(value, (list, str)) and len(value) < found.get("minItems", found.get("minLength", 0)):
        said.append(f"{at}: too short")
    if isinstance(value, (list, str)) and len(value) > found.get("maxItems", found.get("maxLength", len(value))):
        said.append(f"{at}: too long")
    if isinstance(value, list):
        said += [line for entry in value for line in complaints(entry, found["items"], f"{at}[]")]
    if isinstance(value, dict) and "properties" in found:
        said += [f"{at}.{key}: required" for key in found.get("required", []) if key not in value]
        for key, below in value.items():
            known = found["properties"].get(key)
            said += [f"{at}.{key}: unknown"] if known is None else complaints(below, known, f"{at}.{key}")
    return said


def defaulted(value: Any, found: dict[str, Any]) -> Any:
    """``value`` as an API server fills it in."""
    if isinstance(value, dict) and "properties" in found:
        given = {key: below["default"] for key, below in found["properties"].items() if "default" in below} | value
        return {key: defaulted(below, found["properties"][key]) for key, below in given.items()}
    return [defaulted(entry, found["items"]) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("plural", DEFINITIONS)
def test_the_committed_file_is_what_the_contracts_say(plural):
    committed = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text(encoding="utf-8"))
    assert committed == DEFINITIONS[plural], "run `make crds`"


def test_there_is_one_file_a_kind():
    assert {path.name for path in (ROOT / "crds").iterdir()} == {f"{plural}.yaml" for plural in DEFINITIONS}


def test_schemas_are_structural():
    for found in everywhere():
        assert not {"$ref", "anyOf", "allOf", "oneOf", "title", "const", "$defs"} & set(found)
        assert found["type"] in JSON_TYPES
        assert found.get("additionalProperties") is not False
        assert not {"properties", "additionalProperties"} <= set(found)
        assert isinstance(found.get("exclusiveMinimum", True), bool)
        assert found.get("default", "given") is not None
        assert ("items" in found) == (found["type"] == "array")
    assert {found["format"] for found in everywhere() if found["type"] == "integer"} == {"int64"}
    assert {found["format"] for found in everywhere() if found["type"] == "number"} == {"double"}


@pytest.mark.parametrize("plural", DEFINITIONS)
def test_every_field_of_spec_and_status_says_what_it_is(plural):
    for part in ("spec", "status"):
        undescribed = [
            f"{part}.{key}"
            for found in nodes(schema(plural, part))
            for key, below in found.get("properties", {}).items()
            if "description" not in below
        ]
        assert undescribed == []


def test_kinds_are_namespaced_and_known_by_short_names():
    named = {plural: definition["spec"]["names"]["shortNames"] for plural, definition in DEFINITIONS.items()}
    assert named == {"commitbenchmarks": ["cb"], "commitbenchmarkbatches": ["cbb"]}
    for definition in DEFINITIONS.values():
        assert definition["spec"]["scope"] == "Namespaced"
        assert definition["spec"]["names"]["categories"] == ["isobench"]
        assert definition["spec"]["versions"][0]["subresources"] == {"status": {}}


@pytest.mark.parametrize("plural", DEFINITIONS)
def test_columns_show_fields_that_there_are(plural):
    for column in version(plural)["additionalPrinterColumns"]:
        if column["jsonPath"].startswith(".metadata."):
            continue
        found = schema(plural)
        for step in re.sub(r"\[[^]]*\]", "", column["jsonPath"]).strip(".").split("."):
            found = (found.get("items") or found)["properties"][step]
        assert found["type"] == column["type"]


@pytest.mark.parametrize(
    ("plural", "path", "keys"),
    [
        ("commitbenchmarks", ("status", "stages"), ["name", "attempt"]),
        ("commitbenchmarks", ("status", "conditions"), ["type"]),
        ("commitbenchmarkbatches", ("status", "ledger"), ["index"]),
        ("commitbenchmarkbatches", ("status", "closing"), ["name", "attempt"]),
        ("commitbenchmarkbatches", ("status", "conditions"), ["type"]),
    ],
)
def test_lists_known_by_keys_say_so_and_require_them(plural, path, keys):
    found = schema(plural, *path)
    assert found["x-kubernetes-list-type"] == "map"
    assert found["x-kubernetes-list-map-keys"] == keys
    assert set(keys) <= set(found["items"]["required"])


def test_the_commits_of_a_batch_are_one_list_of_at_most_a_thousand():
    commits = schema("commitbenchmarkbatches", "spec", "commits")
    assert commits["x-kubernetes-list-type"] == "atomic"
    assert (commits["minItems"], commits["maxItems"]) == (1, 1000)


@pytest.mark.parametrize(
    ("plural", "model", "mutable"),
    [("commitbenchmarks", CommitBenchmarkSpec, ITEM_MUTABLE), ("commitbenchmarkbatches", BatchSpec, BATCH_MUTABLE)],
)
def test_every_field_but_the_mutable_ones_is_guarded_against_change(plural, model, mutable):
    rules = [rule for rule in schema(plural, "spec")["x-kubernetes-validations"] if "oldSelf" in rule["rule"]]
    guarded = {re.search(r"oldSelf\.(\w+)", rule["rule"])[1] for rule in rules}
    assert guarded == {field.alias for name, field in model.model_fields.items() if name not in mutable}
    assert all("create another" in rule["message"] for rule in rules)


def test_mutable_fields_are_the_designs():
    assert {"suspend", "ttl_seconds_after_finished"} == ITEM_MUTABLE
    assert {"parallelism", "budget_usd", "fail_fast", "suspend", "publish"} == BATCH_MUTABLE


def test_rules_speak_of_fields_that_there_are():
    ruled = [found for found in everywhere() if "x-kubernetes-validations" in found]
    assert len(ruled) > len(DEFINITIONS)
    for found in ruled:
        for rule in found["x-kubernetes-validations"]:
            for dotted in re.findall(r"\b(?:self|oldSelf)((?:\.[a-z]\w+)+)(?!\w*\()", rule["rule"]):
                below = found
                for step in dotted.strip(".").split("."):
                    if step in ("all", "metadata"):
                        break
                    below = below["properties"][step]


def test_the_minimal_item_gets_the_models_defaults_from_the_api_server():
    written = {"repository": {"url": "https://host.example/owner/name.git"}, "commits": {"head": HEAD}}
    filled = defaulted(written, schema("commitbenchmarks", "spec"))
    assert CommitBenchmarkSpec.parse(filled, "defaults") == CommitBenchmarkSpec.parse(written, "models")
    model_defaults = CommitBenchmarkSpec.parse(written, "models").manifest()
    assert filled == model_defaults


def test_a_batch_with_everything_in_it_is_taken():
    whole = manifest(
        (HEAD,),
        commits=[{"head": HEAD, "base": "b" * 7, "agent": {"enabled": False}, "environment": {"python": "3.11"}}],
        inputs={"uri": "s3://bucket/inputs.tar.gz", "sha256": "0" * 64, "secretRef": {"name": "inputs"}},
        budgetUsd=3,
        publish={"repo": "lab/set"},
    )
    parsed = CommitBenchmarkBatch.parse(whole, "a batch").manifest()
    assert complaints(whole["spec"], schema("commitbenchmarkbatches", "spec")) == []
    assert complaints(parsed["spec"], schema("commitbenchmarkbatches", "spec")) == []


def test_a_whole_item_is_taken_as_isobench_writes_it():
    made = CommitBenchmark(
        metadata={"name": "project-1"},
        spec=spec(timing={"tolerations": [{"key": "timing"}], "nodeSelector": {"disk": "ssd"}}),
        status=CommitBenchmarkStatus(),
    ).manifest()
    assert complaints(made["spec"], schema("commitbenchmarks", "spec")) == []
    assert complaints(made["status"], schema("commitbenchmarks", "status")) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commits": {"head": "not a hash"}}, ".commits.head: pattern"),
        ({"mode": "sometimes"}, ".mode: enum"),
        ({"timing": {"minPairs": 7}}, ".timing.minPairs: minimum"),
        ({"timing": {"precision": 0}}, ".timing.precision: minimum"),
        ({"timing": {"cores": "two"}}, ".timing.cores: integer"),
        ({"timing": {"minpairs": 10}}, ".timing.minpairs: unknown"),
        ({"output": {"store": "ftp://host"}}, ".output.store: pattern"),
        ({"repository": {}}, ".repository.url: required"),
    ],
)
def test_what_the_models_refuse_the_schema_refuses(changes, said):
    written = {"repository": {"url": "u"}, "commits": {"head": HEAD}} | changes
    assert complaints(written, schema("commitbenchmarks", "spec")) == [said]
    with pytest.raises(ValueError, match="an item"):
        CommitBenchmarkSpec.parse(written, "an item")
