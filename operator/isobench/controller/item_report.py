"""What is told of an item's progress beside its status: metrics, and Events where something went wrong."""

from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageState, StageStatus
from isobench.controller.api import Api
from isobench.controller.item_status import just_ended
from isobench.controller.kinds import Object
from isobench.controller.metrics import Metrics


class Reporter:
    """Tells after the write that makes it true."""

    def __init__(self, api: Api, metrics: Metrics) -> None:
        """Events by ``api``, numbers by ``metrics``."""
        self._api, self._metrics = api, metrics

    async def written(self, item: Object, before: CommitBenchmarkStatus, after: CommitBenchmarkStatus) -> None:
        """The status of ``item`` went from ``before`` to ``after``."""
        namespace = item["metadata"]["namespace"]
        for stage in just_ended(before, after):
            self._metrics.stage_ended(
                namespace,
                stage.name,
                stage.reason,
                duration_seconds=_duration(stage),
                overhead_seconds=stage.overhead_seconds,
            )
            if stage.state is not StageState.SUCCEEDED and not after.terminal:
                reason = (stage.reason or Reason.INFRASTRUCTURE_ERROR).value
                await self._api.event(item, reason, f"{stage.name} {stage.attempt}: {stage.message}", "Warning")
        outcome = after.outcome
        if outcome is None or not after.terminal or before.terminal:
            return
        reason_of_item = Reason(outcome.reason)
        self._metrics.item_ended(namespace, reason_of_item, after.result)
        if reason_of_item.consequence.family is not Family.DONE:
            said = f"{outcome.message}; {reason_of_item.advice_on_cluster}"
            await self._api.event(item, outcome.reason, said, "Warning")

    async def newer(self, item: Object, problem: InvalidInput) -> None:
        """The status of ``item`` is left alone: another version wrote it."""
        message = f"the status was written by another version of isobench and is left as it is: {problem}"
        await self._api.event(item, "NewerStatus", message, "Warning")


def _duration(stage: StageStatus) -> float:
    if stage.started_at is None or stage.finished_at is None:
        return 0.0
    return max(0.0, (stage.finished_at - stage.started_at).total_seconds())
