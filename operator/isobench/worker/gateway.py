"""The agent pod's gateway: the only container with the model's key; calls reach it through a Unix socket."""

from isobench.adapters.files import write_model
from isobench.adapters.models.gateway_process import GatewayReport
from isobench.adapters.models.gateway_service import serve_until_terminated
from isobench.contracts.pod import PodRequest
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import StageResult
from isobench.stages.attempt import Done, attempt
from isobench.worker.generate import model_of
from isobench.worker.pod import Pod, now

REPORT, SOCKET = "gateway.json", "gateway.sock"
"""What the supervisor reads when the gateway listens (or never will), and where that is: in the exchange folder."""


def gateway(request: PodRequest) -> StageResult:
    """Serve until SIGTERM; the report says how to reach it, or why it can't be."""
    return attempt(request.item, now, request.places.scratch, lambda: _serve(request))


def _serve(request: PodRequest) -> Done:
    pod, asked, exchange = Pod(request), request.item.spec.agent, request.places.exchange

    def report(said: GatewayReport) -> None:
        write_model(exchange / REPORT, said)

    try:
        settings = model_of(request).gateway_settings(
            pod.workspace.agent_ledger,
            request.item.attempt,
            asked.budget_usd,
            asked.model,
            max_calls=asked.max_iterations,
            socket=exchange / SOCKET,
        )
    except ItemFailure as failure:
        report(GatewayReport(reason=failure.reason, message=failure.message))
        raise
    if not serve_until_terminated(settings, report):
        raise ItemFailure(Reason.INFRASTRUCTURE_ERROR, f"the gateway did not start: {REPORT} says why")
    return Done()
