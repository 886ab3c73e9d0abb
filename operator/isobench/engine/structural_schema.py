"""Structural schemas from the contracts: what Kubernetes takes of a pydantic model's JSON schema, and the rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_FORMATS = {"integer": "int64", "number": "double"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the Common Expression Language, and the sentence for whoever breaks it."""

    expression: str
    message: str

    def as_json(self) -> Schema:
        """The rule as a schema holds it."""
        return {"rule": self.expression, "message": self.message}


_SAME_COMMIT = Rule("!has(self.base) || self.base != self.head", "base and head are the same commit; leave base out")

RULES: Mapping[str, Sequence[Rule]] = {
    "RepositorySpec": [
        Rule(
            "!self.url.matches('^[A-Za-z][A-Za-z0-9+.-]*://[^/@]*:[^/@]*@')",
            "url carries a password, which whoever reads this object can see; put it into a Secret and name that in "
            "credentialsSecretRef",
        ),
        Rule(
            "self.url.contains('://') || self.url.matches('^[^/:@]+@[^/:@]+:.')",
            "url is a path of one machine, which no pod can read; give https://..., ssh://... or git@host:path",
        ),
    ],
    "CommitPair": [_SAME_COMMIT],
    "BatchCommit": [_SAME_COMMIT],
    "EfficiencyTest": [
        Rule(
            "(has(self.inline) ? 1 : 0) + (has(self.configMapKeyRef) ? 1 : 0) + (has(self.generate) ? 1 : 0) <= 1",
            "give one of inline, configMapKeyRef and generate, not several",
        ),
        Rule("!has(self.inline) || self.inline.size() > 0", "inline is empty; give the test script's text"),
    ],
    "AgentSpec": [
        Rule(
            "!has(self.kind) || self.kind != 'command' || has(self.command)",
            "agent.kind command needs agent.command: the program and its arguments",
        ),
        Rule(
            "!has(self.kind) || self.kind != 'replay' || has(self.patch)",
            "agent.kind replay needs agent.patch: the patch to apply",
        ),
    ],
    "Resources": [
        *(
            Rule(
                f"!has(self.{amounts}) || self.{amounts}.all(name, isQuantity(self.{amounts}[name]))",
                f"{amounts} holds an amount that is no quantity; write 500m, 2 or 4Gi",
            )
            for amounts in ("requests", "limits")
        ),
        Rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || "
            "!isQuantity(self.requests[name]) || !isQuantity(self.limits[name]) || "
            "quantity(self.requests[name]).compareTo(quantity(self.limits[name])) <= 0)",
            "a request is above its limit; raise the limit or leave it out",
        ),
    ],
    "WorkspaceSpec": [
        Rule(
            "!has(self.claimName) || !(has(self.storageClassName) || has(self.size))",
            "give claimName, or storageClassName and size, not both",
        ),
        Rule("!has(self.size) || isQuantity(self.size)", "size is no quantity; write 10Gi"),
    ],
    "TimingSpec": [
        Rule(
            "!has(self.maxPairs) || !has(self.minPairs) || self.maxPairs >= self.minPairs",
            "maxPairs is below minPairs; raise it",
        )
    ],
    "OutputSpec": [
        Rule(
            "!has(self.secretRef) || !has(self.serviceAccountName)",
            "give secretRef or serviceAccountName, not both",
        ),
        Rule(
            "!has(self.endpoint) || self.store.startsWith('s3://')", "endpoint is for a store of s3://...; leave it out"
        ),
    ],
    "InputsSpec": [
        Rule(
            "self.uri.matches('^(s3|file)://.')",
            "inputs.uri is a path beside the manifest, which no pod can read; plan again with --inputs-to s3://...",
        )
    ],
    "PublishSpec": [
        Rule("has(self.secretRef)", "publish.secretRef is missing; name the Secret that holds the hub's token")
    ],
}
"""The rules between fields, by the model's name: what the models check too, and what only a cluster can't have.

The API server checks a default, `{}`, before it fills in the fields' own: a rule may rely on required fields only.
"""

LIST_KEYS = {
    "stages": ["name", "attempt"],
    "conditions": ["type"],
    "ledger": ["index"],
    "closing": ["name", "attempt"],
}
"""The lists whose entries are known by keys; every other list is replaced as a whole."""


def structural(schema: Schema, models: Mapping[str, Schema], *, defaults: bool) -> Schema:
    """A pydantic JSON schema as a structural one: nothing referred to, no alternatives, null is absence.

    ``defaults``: whether the API server fills in what a person leaves out; a status has none.
    """
    schema, name = _resolved(schema, models)
    shown = {key: schema[key] for key in ("description", "type", "pattern", "enum", *_LENGTHS) if key in schema}
    if "const" in schema:
        shown["enum"] = [schema["const"]]
    if schema["type"] in _FORMATS or "format" in schema:
        shown["format"] = schema.get("format", _FORMATS.get(schema["type"]))
    shown |= _bounds(schema)
    if defaults and schema.get("default") is not None:
        shown["default"] = schema["default"]
    if "items" in schema:
        # Nothing is filled in below a list: `kubectl apply` would find it changed each time, for it compares it whole.
        shown["items"] = structural(schema["items"], models, defaults=False)
    if schema["type"] == "object":
        shown |= _members(schema, models, defaults=defaults)
    return with_rules(shown, RULES.get(name, ()))


def _resolved(schema: Schema, models: Mapping[str, Schema]) -> tuple[Schema, str]:
    """``schema`` without alternatives to null and references, and the name of the model that it referred to."""
    beside = {key: value for key, value in schema.items() if key not in ("anyOf", "$ref")}
    if "anyOf" in schema:
        (given,) = [option for option in schema["anyOf"] if option.get("type") != "null"]
        found, name = _resolved(given, models)
        return found | beside, name
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return models[name] | beside, name
    return schema, ""


def _bounds(schema: Schema) -> Schema:
    """Bounds as OpenAPI 3.0 has them: an exclusive one is a mark beside the number."""
    bounds: Schema = {key: schema[key] for key in ("minimum", "maximum") if key in schema}
    for key, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in schema:
            bounds |= {key: schema[exclusive], exclusive: True}
    return bounds


def _members(schema: Schema, models: Mapping[str, Schema], *, defaults: bool) -> Schema:
    """The properties of an object, or what every value of a string map is."""
    if "properties" not in schema:
        return {"additionalProperties": structural(schema["additionalProperties"], models, defaults=defaults)}
    required = schema.get("required", [])
    properties = {}
    for key, described in schema["properties"].items():
        shown = structural(described, models, defaults=defaults)
        empty: Any = {"object": {}, "array": []}.get(shown["type"])
        if defaults and empty is not None and key not in required and "anyOf" not in described:
            shown["default"] = empty  # made by a factory, which a JSON schema does not show
        if shown["type"] == "array":
            shown |= _list_type(key, shown)
        properties[key] = shown
    return ({"required": required} if required else {}) | {"properties": properties}


def _list_type(key: str, schema: Schema) -> Schema:
    if key not in LIST_KEYS:
        return {"x-kubernetes-list-type": "atomic"}
    keys = LIST_KEYS[key]
    required = [*keys, *(name for name in schema["items"].get("required", []) if name not in keys)]
    return {
        "items": schema["items"] | {"required": required},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": keys,
    }


def with_rules(schema: Schema, rules: Sequence[Rule]) -> Schema:
    """``schema`` with ``rules``, if there are any."""
    return schema | ({"x-kubernetes-validations": [rule.as_json() for rule in rules]} if rules else {})
