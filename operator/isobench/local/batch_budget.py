"""The cap on what a batch's paid stages may cost together, on one machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import StageResult


class BatchBudget:
    """Grants each paid attempt its cap before it starts; what it really cost takes the cap's place afterwards."""

    def __init__(self, cap_usd: float | None, spent_usd: float) -> None:
        """``spent_usd`` is what the items of this run have cost so far; no cap: everything is granted."""
        self._cap = cap_usd
        self._committed = spent_usd
        self._lock = threading.Lock()

    @contextmanager
    def grant(self, most_usd: float) -> Iterator[list[StageResult]]:
        """Hold ``most_usd`` while a paid attempt runs; the body appends its result, whose cost settles the grant.

        Raises:
            ItemFailure: `BudgetExhausted` when the attempt could pass the batch's cap.
        """
        with self._lock:
            if self._cap is not None and self._committed + most_usd > self._cap:
                left = max(0.0, self._cap - self._committed)
                message = f"the batch has ${left:.4f} of its ${self._cap:g} left and this may cost ${most_usd:g}"
                raise ItemFailure(Reason.BUDGET_EXHAUSTED, f"{message}; raise spec.budgetUsd")
            self._committed += most_usd
        results: list[StageResult] = []
        try:
            yield results
        finally:
            cost = next((result.cost.measured_usd for result in results if result.cost), most_usd)
            with self._lock:
                self._committed += cost - most_usd
