"""The cap on what a batch's paid stages may cost together, on one machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from isobench.adapters.files import read_model
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.money import ZERO
from isobench.engine.workspace import Workspace
from isobench.local.batch_state import (
    BatchRun,
    BatchState,
    batch_file,
    charged_before_usd,
    charged_usd,
    known_runs,
    workspace_of,
)


class BatchBudget:
    """Holds an item's cap while it asks a model; what its ledgers charge takes the cap's place afterwards."""

    def __init__(self, cap_usd: float | None, charged: dict[Path, Decimal]) -> None:
        """``charged`` is what each item was charged so far, by its folder; no cap: everything is granted."""
        self._cap = None if cap_usd is None else Decimal(str(cap_usd))
        self._charged = charged
        self._lock = threading.Lock()

    @contextmanager
    def grant(self, workspace: Workspace, most_usd: float) -> Iterator[None]:
        """Let the item in ``workspace`` ask a model in the block; all of its attempts together cost ``most_usd``.

        Raises:
            ItemFailure: `BudgetExhausted` when the item could pass the batch's cap.
        """
        if self._cap is None:
            yield
            return
        self._hold(workspace, self._cap, Decimal(str(most_usd)))
        try:
            yield
        finally:
            with self._lock:
                self._charged[workspace.root] = _charged(workspace)

    def _hold(self, workspace: Workspace, cap: Decimal, most: Decimal) -> None:
        held = charged_before_usd(workspace) + most
        with self._lock:
            others = sum((charged for item, charged in self._charged.items() if item != workspace.root), ZERO)
            if others + held > cap:
                left = max(ZERO, cap - others - held + most)
                message = f"the batch has ${left:.4f} of its ${cap:f} left and this item may cost ${most:f}"
                raise ItemFailure(Reason.BUDGET_EXHAUSTED, f"{message}; raise spec.budgetUsd")
            self._charged[workspace.root] = held


def open_budget(state: BatchState) -> BatchBudget:
    """The budget that the batch has or shares, less what the items of all batches on it were charged so far.

    Raises:
        InvalidInput: the batch whose budget it shares was never run here, so that its cap is not known.
    """
    owner = _owner(state)
    if owner.budget_usd is None:
        return BatchBudget(None, {})
    sharing = [run for run in known_runs(state.root) if owner.batch in (run.batch, run.budget_ref)]
    workspaces = [workspace_of(state.root, row) for run in sharing for row in run.items]
    return BatchBudget(owner.budget_usd, {workspace.root: _charged(workspace) for workspace in workspaces})


def _owner(state: BatchState) -> BatchRun:
    name = state.run.budget_ref
    if name is None:
        return state.run
    try:
        return read_model(batch_file(state.root, name), BatchRun)
    except FileNotFoundError:
        problem = f"the batch {name} was never run on this work root; run it first, or give a budgetUsd"
        raise InvalidInput("spec.budgetRef", [problem]) from None


def _charged(workspace: Workspace) -> Decimal:
    return charged_usd(workspace) + charged_before_usd(workspace)
