"""What a person asks of items and batches on a cluster, answered in lines: how far, why, how much. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from isobench.contracts.reasons import Reason

Object = Mapping[str, Any]
Row = tuple[str, ...]

BATCH_COLUMNS = ("BATCH", "STATE", "ENDED", "FAILED", "RUNNING", "USD", "BUDGET", "WAITING", "FINISHED BY")
ITEM_COLUMNS = ("ITEM", "STATE", "VERDICT", "SPEED-UP", "USD", "WAITING")
COST_COLUMNS = ("WHAT", "SPENT", "RESERVED", "BUDGET", "PROMPT TOKENS", "COMPLETION TOKENS")


def answer_in(item: Object, question: str = "Succeeded") -> Object:
    """The condition that answers ``question``; nothing before the first answer."""
    conditions: Iterable[Object] = item.get("status", {}).get("conditions", ())
    return next((found for found in conditions if found["type"] == question), {})


def ended(item: Object) -> bool:
    """Whether it has an outcome."""
    return bool(answer_in(item)) and answer_in(item)["status"] != "Unknown"


def batch_of(item: Object) -> str | None:
    """The batch that an item belongs to."""
    owners = item["metadata"].get("ownerReferences", ())
    return next((owner["name"] for owner in owners if owner["kind"] == "CommitBenchmarkBatch"), None)


def batch_row(batch: Object) -> Row:
    """A batch in a line."""
    status, spec = batch.get("status", {}), batch["spec"]
    done, failed = status.get("done", 0), status.get("failed", 0)
    return (
        batch["metadata"]["name"],
        answer_in(batch).get("reason", "New"),
        f"{done + failed}/{status.get('total', len(spec['commits']))}",
        str(failed),
        str(status.get("running", 0)),
        _usd(status.get("spentUsd", 0)),
        _budget(spec),
        status.get("waiting", {}).get("why", ""),
        status.get("finishedBy", ""),
    )


def item_row(item: Object) -> Row:
    """An item in a line."""
    status = item.get("status", {})
    result, waiting = status.get("result", {}), status.get("waiting", {})
    position = f" ({waiting['position']})" if waiting.get("position") else ""
    return (
        item["metadata"]["name"],
        answer_in(item).get("reason", "New"),
        result.get("verdict", ""),
        f"{result['speedup']:.4g}x" if result.get("speedup") else "",
        _usd(status.get("cost", {}).get("measuredUsd", 0)),
        waiting.get("why", "") + position,
    )


def failures(batch: Object) -> Iterator[str]:
    """What went wrong in a batch, the most frequent first, and what to do about it."""
    for name, count in batch.get("status", {}).get("reasons", {}).items():
        advice = _advice(name)
        if advice != "nothing":
            yield f"{count} {name}: {advice}"


def why(item: Object) -> Iterator[str]:
    """Where an item stands and why, and what a person should do next."""
    status = item.get("status", {})
    outcome, waiting = answer_in(item), status.get("waiting")
    if not outcome:
        yield "the operator has not looked at it yet: is one running that serves this namespace and controllerName?"
        return
    yield f"{outcome['reason']}" + (f": {outcome['message']}" if outcome.get("message") else "")
    if waiting:
        position = f", position {waiting['position']}" if waiting.get("position") else ""
        said = f": {waiting['message']}" if waiting.get("message") else ""
        yield f"waits: {waiting['why']}{position}{said}"
    for stage in status.get("stages", ()):
        said = f" {stage['reason']}: {stage.get('message', '')}" if stage.get("reason") else ""
        yield f"  {stage['name']} {stage['attempt']}: {stage['state']}{said}"
    for question in ("NetworkIsolated", "BudgetWithinCap", "RecordStored"):
        answer = answer_in(item, question)
        if answer.get("status") == "False":
            yield f"{question} is False: {answer.get('message') or answer['reason']}"
    if outcome["status"] == "False":
        yield f"next: {_advice(outcome['reason'])}"


def cost_rows(items: Sequence[Object], batches: Sequence[Object]) -> Iterator[Row]:
    """What each batch has cost, what items without one have, and everything together."""
    alone = [item for item in items if batch_of(item) is None]
    for batch in batches:
        children = [item for item in items if batch_of(item) == batch["metadata"]["name"]]
        status = batch.get("status", {})
        money = _usd(status.get("spentUsd", 0)), _usd(status.get("reservedUsd", 0)), _budget(batch["spec"])
        yield batch["metadata"]["name"], *money, *_tokens(children)
    if alone:
        yield "items without a batch", _usd(sum(map(_measured, alone))), "", "", *_tokens(alone)
    spent = sum(batch.get("status", {}).get("spentUsd", 0) for batch in batches) + sum(map(_measured, alone))
    reserved = sum(batch.get("status", {}).get("reservedUsd", 0) for batch in batches)
    yield "together", _usd(spent), _usd(reserved), "", *_tokens(items)


def table(columns: Row, rows: Iterable[Row]) -> str:
    """Columns under their heads, as kubectl prints them."""
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("   ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _advice(reason: str) -> str:
    try:
        return Reason(reason).advice_on_cluster
    except ValueError:
        return "read the message"


def _measured(item: Object) -> float:
    return float(item.get("status", {}).get("cost", {}).get("measuredUsd", 0))


def _tokens(items: Sequence[Object]) -> tuple[str, str]:
    costs = [item.get("status", {}).get("cost", {}) for item in items]
    prompt, completion = (sum(cost.get(name, 0) for cost in costs) for name in ("promptTokens", "completionTokens"))
    return f"{prompt:,}", f"{completion:,}"


def _budget(spec: Object) -> str:
    if "budgetRef" in spec:
        return f"of {spec['budgetRef']}"
    return _usd(spec["budgetUsd"]) if "budgetUsd" in spec else ""


def _usd(amount: float) -> str:
    return f"${amount:,.2f}"
