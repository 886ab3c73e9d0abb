"""The custom resource definitions of both kinds: their names, columns, and what may change once they are there."""

from collections.abc import Sequence
from dataclasses import dataclass

from isobench.contracts.base import KubernetesContract
from isobench.contracts.objects import API_VERSION, BatchSpec, CommitBenchmark, CommitBenchmarkBatch
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.engine.structural_schema import Rule, Schema, structural, with_rules


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; one of priority 1 is shown by `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0

    def as_json(self) -> Schema:
        """The column as a definition holds it."""
        shown = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return shown | ({"priority": self.priority} if self.priority else {})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its model, how it is called, what a person asks of it first."""

    model: type[KubernetesContract]
    plural: str
    short: str
    columns: Sequence[Column]
    spec_rules: Sequence[Rule]
    rules: Sequence[Rule] = ()


_OUTCOME = '.status.conditions[?(@.type=="Succeeded")]'

ITEM_MUTABLE = frozenset({"suspend", "ttl_seconds_after_finished"})
BATCH_MUTABLE = frozenset({"parallelism", "budget_usd", "fail_fast", "suspend", "publish"})


def immutable(model: type[KubernetesContract], mutable: frozenset[str], kind: str) -> list[Rule]:
    """A rule for every field of ``model`` that may not change: neither its value nor whether it is there."""
    rules = []
    for name, field in model.model_fields.items():
        if name in mutable:
            continue
        key = field.alias or name
        rule = f"has(self.{key}) == has(oldSelf.{key}) && (!has(self.{key}) || self.{key} == oldSelf.{key})"
        rules.append(Rule(rule, f"{key} can't be changed; create another {kind}"))
    return rules


_COMMITTED = " + ".join(f"(has(self.status.{key}) ? self.status.{key} : 0.0)" for key in ("spentUsd", "reservedUsd"))
BUDGET_RULE = Rule(
    "!has(self.spec.budgetUsd) || (has(oldSelf.spec.budgetUsd) && self.spec.budgetUsd >= oldSelf.spec.budgetUsd) || "
    f"!has(self.status) || self.spec.budgetUsd >= {_COMMITTED}",
    "budgetUsd can't go below what is spent and reserved; suspend the batch to stop it",
)

LONGEST_ITEM_NAME, LONGEST_BATCH_NAME = 63, 50


def named_within(characters: int, why: str) -> Rule:
    """A rule on the object's own name."""
    return Rule(
        f"self.metadata.name.size() <= {characters}",
        f"the name is longer than {characters} characters and {why}; choose a shorter one",
    )


def stored_remotely(output: str) -> Rule:
    """A rule on where records go: the default is right on one machine only."""
    return Rule(
        f"{output}.store.startsWith('s3://')",
        "output.store is a folder of one machine, which no pod keeps; name s3://bucket/prefix",
    )


COMMIT_BENCHMARK = Kind(
    CommitBenchmark,
    plural="commitbenchmarks",
    short="cb",
    columns=[
        Column("State", f"{_OUTCOME}.reason"),
        Column("Verdict", ".status.result.verdict"),
        Column("Speedup", ".status.result.speedup", "number"),
        Column("USD", ".status.cost.measuredUsd", "number"),
        Column("Waiting", ".status.waiting.why"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Position", ".status.waiting.position", "integer", priority=1),
        Column("Head", ".spec.commits.head", priority=1),
        Column("Repository", ".spec.repository.url", priority=1),
        Column("Message", f"{_OUTCOME}.message", priority=1),
    ],
    spec_rules=[*immutable(CommitBenchmarkSpec, ITEM_MUTABLE, "CommitBenchmark"), stored_remotely("self.output")],
    rules=[named_within(LONGEST_ITEM_NAME, "could be no label of its pods")],
)

COMMIT_BENCHMARK_BATCH = Kind(
    CommitBenchmarkBatch,
    plural="commitbenchmarkbatches",
    short="cbb",
    columns=[
        Column("State", f"{_OUTCOME}.reason"),
        Column("Items", ".status.total", "integer"),
        Column("Running", ".status.running", "integer"),
        Column("Done", ".status.done", "integer"),
        Column("Failed", ".status.failed", "integer"),
        Column("USD", ".status.spentUsd", "number"),
        Column("Budget", ".spec.budgetUsd", "number"),
        Column("Waiting", ".status.waiting.why"),
        Column("Finished-By", ".status.finishedBy"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Reserved", ".status.reservedUsd", "number", priority=1),
        Column("Message", f"{_OUTCOME}.message", priority=1),
    ],
    spec_rules=[
        *immutable(BatchSpec, BATCH_MUTABLE, "CommitBenchmarkBatch"),
        stored_remotely("self.template.output"),
        Rule(
            "has(self.template.repository) || self.commits.all(commit, has(commit.repository))",
            "a commit has no repository: give template.repository, or each commit its own",
        ),
        Rule(
            "!has(self.budgetUsd) || !has(self.budgetRef)",
            "give budgetUsd, or budgetRef to share another batch's budget, not both",
        ),
    ],
    rules=[
        BUDGET_RULE,
        named_within(LONGEST_BATCH_NAME, "leaves no room for a number and a commit in its items' names"),
        Rule(
            "!has(self.spec.budgetRef) || self.spec.budgetRef != self.metadata.name",
            "budgetRef names this batch itself; leave it out and give budgetUsd",
        ),
    ],
)

KINDS = (COMMIT_BENCHMARK, COMMIT_BENCHMARK_BATCH)


def custom_resource_definition(kind: Kind) -> Schema:
    """The definition of ``kind``, as `kubectl apply` takes it."""
    group, _, version = API_VERSION.partition("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.model.__name__,
                "listKind": f"{kind.model.__name__}List",
                "plural": kind.plural,
                "singular": kind.model.__name__.lower(),
                "shortNames": [kind.short],
                "categories": ["isobench"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.as_json() for column in kind.columns],
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def _root(kind: Kind) -> Schema:
    whole = kind.model.model_json_schema(by_alias=True)
    spec = structural(whole["properties"]["spec"], whole["$defs"], defaults=True)
    status = structural(whole["properties"]["status"], whole["$defs"], defaults=False)
    return with_rules(
        {
            "type": "object",
            "description": whole["description"],
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": with_rules(spec, kind.spec_rules),
                "status": status,
            },
        },
        kind.rules,
    )
