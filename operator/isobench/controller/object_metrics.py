"""What the objects say, read from the cache when Prometheus asks: money, tokens, and items by state.

Only the leader shows it: replicas would count everything twice. After a restart the same objects give the same numbers.
What objects that were deleted have cost, the namespace's account says: the dollars shown are those that its cap counts.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName, StageState
from isobench.controller.caps import Caps
from isobench.engine.account import Account

Object = Mapping[str, Any]
K = TypeVar("K")
MODELS_AT_MOST = 50
NO_MODEL, OTHER = "none", "other"
UNFINISHED, NOT_STARTED = "Unfinished", "none"
DELETED = "Deleted"
"""The reason of what objects have cost that are not there any more; nobody remembers their model."""
_FINAL = frozenset(state.value for state in StageState if state.final)
_FAMILIES = {reason.value: reason.consequence.family.value for reason in Reason}
_PAID = frozenset({StageName.GENERATE.value, StageName.AGENT.value})


Dollars = defaultdict[K, float]


def _dollars() -> Dollars[Any]:
    return defaultdict(float)


class Payer(NamedTuple):
    """Whose money it is: the namespace, the model that was paid, and what came of it."""

    namespace: str
    model: str
    reason: str


@dataclass
class Totals:
    """Sums over all objects at one moment."""

    spent: Dollars[Payer] = field(default_factory=_dollars)
    by_item: dict[str, float] = field(default_factory=dict)
    """Dollars by the item's UID."""
    reserved: Dollars[tuple[str, str]] = field(default_factory=_dollars)
    prompt_tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    completion_tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    unfinished: Counter[tuple[str, str]] = field(default_factory=Counter)
    waiting: Counter[tuple[str, str]] = field(default_factory=Counter)
    finished: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    oldest: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def namespaces(self) -> set[str]:
        """Namespaces that have or had an item."""
        return {payer.namespace for payer in self.spent}


def totals(
    items: Iterable[Object], batches: Iterable[Object], accounts: Mapping[str, Account], now: datetime
) -> Totals:
    """What ``items``, the ledgers of ``batches`` for items that are gone, and ``accounts`` for both, add up to."""
    found = Totals()
    present: set[tuple[str, str]] = set()
    for item in items:
        present.add((item["metadata"]["namespace"], item["metadata"]["name"]))
        _add_item(found, item, now)
    for batch in batches:
        _add_ledger(found, batch, present)
    for namespace, account in accounts.items():
        _add_deleted(found, namespace, account)
    return found


def _add_item(found: Totals, item: Object, now: datetime) -> None:
    namespace, model = item["metadata"]["namespace"], _model(item["spec"])
    status = item.get("status") or {}
    cost = status.get("cost") or {}
    reason = _outcome(status)
    spent = cost.get("measuredUsd", 0.0)
    found.by_item[item["metadata"]["uid"]] = spent
    found.spent[Payer(namespace, model, reason or UNFINISHED)] += spent
    found.prompt_tokens[namespace, model] += cost.get("promptTokens", 0)
    found.completion_tokens[namespace, model] += cost.get("completionTokens", 0)
    if reason is not None:
        found.finished[namespace, _family(reason), reason] += 1
        return
    stages = status.get("stages") or []
    last = stages[-1] if stages else None
    found.unfinished[namespace, last["name"] if last else NOT_STARTED] += 1
    if waiting := status.get("waiting"):
        found.waiting[namespace, waiting["why"].partition(" ")[0][:40]] += 1
    elif last and last["state"] not in _FINAL and last.get("startedAt"):
        age = (now - datetime.fromisoformat(last["startedAt"])).total_seconds()
        key = (namespace, last["name"])
        found.oldest[key] = max(found.oldest.get(key, 0.0), age)
    if not _batch_of(item):
        found.reserved[namespace, model] += _reserve(item["spec"], last, spent)


def _add_ledger(found: Totals, batch: Object, present: set[tuple[str, str]]) -> None:
    namespace, spec = batch["metadata"]["namespace"], batch["spec"]
    for row in (batch.get("status") or {}).get("ledger") or []:
        model = _model(spec.get("template") or {}, spec["commits"][row["index"]].get("model"))
        found.reserved[namespace, model] += row.get("reservedUsd", 0.0)
        if (namespace, row.get("item")) not in present:
            found.spent[Payer(namespace, model, row.get("outcome") or UNFINISHED)] += row.get("spentUsd", 0.0)


def _add_deleted(found: Totals, namespace: str, account: Account) -> None:
    """What the account knows to be spent and no object tells of; what an item spends meanwhile is not settled yet."""
    settled = float(sum(account.spent.values()))
    unsettled = sum(
        max(0.0, found.by_item.get(uid, 0.0) - float(hold.before_usd)) for uid, hold in account.holds.items()
    )
    told = sum(dollars for payer, dollars in found.spent.items() if payer.namespace == namespace)
    deleted = round(settled + unsettled - told, 6)
    if deleted > 0:
        found.spent[Payer(namespace, OTHER, DELETED)] += deleted


def _model(spec: Object, override: str | None = None) -> str:
    """The model that the item is accounted to: the agent's, else the test generator's."""
    agent, generate = spec.get("agent") or {}, (spec.get("test") or {}).get("generate") or {}
    named = override or agent.get("model") if agent.get("enabled") else generate.get("model")
    return named or NO_MODEL


def _reserve(spec: Object, last: Object | None, spent: float) -> float:
    """What a paid stage that runs outside any batch may still cost."""
    if last is None or last["name"] not in _PAID or last["state"] in _FINAL:
        return 0.0
    source = spec["agent"] if last["name"] == StageName.AGENT else spec["test"]["generate"]
    return max(0.0, float(source["budgetUsd"]) - (0.0 if last["name"] == StageName.AGENT else spent))


def _batch_of(item: Object) -> bool:
    owners = item["metadata"].get("ownerReferences") or []
    return any(owner["kind"] == "CommitBenchmarkBatch" for owner in owners)


def _outcome(status: Object) -> str | None:
    for condition in status.get("conditions") or []:
        if condition["type"] == "Succeeded" and condition["status"] != "Unknown":
            return str(condition["reason"])
    return None


def _family(reason: str) -> str:
    """The reason's family; a newer version's reason that this one does not know is `unknown`."""
    return _FAMILIES.get(reason, "unknown")


class ObjectCollector(Collector):
    """Shows `totals` and the caps in Prometheus's terms."""

    def __init__(
        self,
        items: Callable[[], Iterable[Object]],
        batches: Callable[[], Iterable[Object]],
        caps_of: Callable[[str], Caps],
        accounts: Callable[[], Mapping[str, Account]],
        *,
        clock: Callable[[], datetime],
        leading: Callable[[], bool],
        seen: Callable[[str], None],
    ) -> None:
        """``caps_of`` and ``accounts`` know a namespace's; ``seen`` is told of every namespace found."""
        self._items, self._batches, self._caps_of, self._accounts = items, batches, caps_of, accounts
        self._clock, self._leading, self._seen = clock, leading, seen

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before the first scrape: registration must not read the cache."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One gauge a question."""
        if not self._leading():
            return
        found = totals(self._items(), self._batches(), self._accounts(), self._clock())
        for namespace in found.namespaces:
            self._seen(namespace)
        shown = _shown_models(found)
        caps = {namespace: self._caps_of(namespace).dollars for namespace in found.namespaces}
        yield from _money(found, shown, {namespace: float(cap) for namespace, cap in caps.items() if cap is not None})
        yield from _items(found)


def _money(found: Totals, shown: frozenset[str], caps: Mapping[str, float]) -> Iterator[Metric]:
    spent: Dollars[tuple[str, ...]] = _dollars()
    for payer, dollars in found.spent.items():
        spent[payer.namespace, _named(payer.model, shown), payer.reason] += dollars
    by_model = ("namespace", "model")
    yield _gauge("isobench_spent_dollars", "Charged for model calls.", (*by_model, "reason"), spent)
    yield _gauge("isobench_reserved_dollars", "Granted and not settled.", by_model, _by_model(found.reserved, shown))
    capped = {(namespace,): cap for namespace, cap in caps.items()}
    yield _gauge("isobench_cap_dollars", "The operator's cap.", ("namespace",), capped)
    prompt, completion = _by_model(found.prompt_tokens, shown), _by_model(found.completion_tokens, shown)
    yield _gauge("isobench_prompt_tokens", "Metered prompt tokens of the items there are.", by_model, prompt)
    yield _gauge(
        "isobench_completion_tokens", "Metered completion tokens of the items there are.", by_model, completion
    )


def _items(found: Totals) -> Iterator[Metric]:
    yield _gauge("isobench_items_unfinished", "Items by their stage.", ("namespace", "stage"), found.unfinished)
    yield _gauge("isobench_items_waiting", "Items that wait, and for what.", ("namespace", "reason"), found.waiting)
    labels = ("namespace", "outcome", "reason")
    yield _gauge("isobench_items_finished", "Items that ended and are still there.", labels, found.finished)
    said = "Age of the oldest attempt at a stage that has not ended."
    yield _gauge("isobench_stage_oldest_age_seconds", said, ("namespace", "stage"), found.oldest)


def _gauge(name: str, said: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([*key], value)
    return family


def _shown_models(found: Totals) -> frozenset[str]:
    """Names come from tenants: only the most expensive are shown, the rest together."""
    by_model: Dollars[str] = _dollars()
    for payer, dollars in found.spent.items():
        by_model[payer.model] += dollars
    for (_, model), dollars in found.reserved.items():
        by_model[model] += dollars
    return frozenset(sorted(by_model, key=lambda model: (-by_model[model], model))[:MODELS_AT_MOST])


def _named(model: str, shown: frozenset[str]) -> str:
    return model if model in shown else OTHER


def _by_model(values: Mapping[tuple[str, str], float], shown: frozenset[str]) -> Mapping[tuple[str, str], float]:
    summed: Dollars[tuple[str, str]] = _dollars()
    for (namespace, model), value in values.items():
        summed[namespace, _named(model, shown)] += value
    return summed
