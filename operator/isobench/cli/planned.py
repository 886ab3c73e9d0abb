"""What `isobench plan` came to: as JSON for machines, and for people with the command that is next."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isobench.cli import options
from isobench.engine.planning import PlanOptions
from isobench.local.planner import Plan


def as_json(plan: Plan, manifests: Sequence[Path]) -> dict[str, Any]:
    """The counts, and what was left out."""
    return {
        "manifests": [str(path) for path in manifests],
        "planned": len(plan.items),
        "with_test": len(plan.tested),
        "without_test": _untested(plan),
        "dropped": plan.dropped,
        "broken": plan.broken,
    }


def told(plan: Plan, manifests: Sequence[Path], asked: PlanOptions) -> str:
    """The counts, what is missing, and what to type next: with the configuration that it was planned by."""
    lines = [
        f"{len(plan.items)} planned ({len(plan.tested)} with a test, {_untested(plan)} without), "
        f"{len(plan.dropped)} dropped, {len(plan.broken)} broken"
    ]
    if _untested(plan) and not asked.generate:
        lines.append("without a test an item ends as NoTest: give --tests DIR, or --generate to let a model write it")
    if asked.cluster.store:
        return "\n".join(lines + [f"next: kubectl apply -f {path}" for path in manifests])
    return "\n".join(lines + [f"next: isobench run {path}{options.configuration_flags()}" for path in manifests])


def _untested(plan: Plan) -> int:
    return len(plan.items) - len(plan.tested)
