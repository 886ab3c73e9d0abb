"""The Jobs at a batch's end: export writes the dataset, publish alone holds the hub's token; and how they ended."""

import hashlib
from collections.abc import Sequence

from isobench.contracts.objects import CommitBenchmarkBatch, PublishSpec
from isobench.contracts.pod import ExportRequest, PodResult, PublishRequest
from isobench.contracts.status import ClosingName, ClosingStatus
from isobench.controller.api import Api
from isobench.controller.cache import Cache
from isobench.controller.jobs.containers import Pod, secret_variable, store_variables, worker
from isobench.controller.jobs.job import job
from isobench.controller.jobs.names import APP_LABELS, job_name, label_value
from isobench.controller.jobs.resources import SUPERVISOR
from isobench.controller.kinds import BATCH_LABEL, CONTROLLER_LABEL, JOBS, PODS, STAGE_LABEL, Key, Object
from isobench.controller.settings import ControllerSettings
from isobench.engine.closing import JobEnd, SeenJob
from isobench.engine.ledger import Rows
from isobench.engine.termination import parse_pod

SECONDS = 1800.0
TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name, not a token
_GONE = SeenJob(JobEnd.GONE)


def dataset_of(batch: CommitBenchmarkBatch) -> str:
    """What its dataset is called."""
    return batch.spec.template.output.dataset or batch.metadata.name


def dataset_uri(batch: CommitBenchmarkBatch) -> str:
    """Where its dataset is, once it is exported."""
    return f"{batch.spec.template.output.store.rstrip('/')}/{dataset_of(batch)}/dataset.jsonl"


def wanted(batch: CommitBenchmarkBatch, rows: Rows) -> list[tuple[ClosingName, str]]:
    """What follows the last item, each with the digest of its content: an item that was tried again is another one."""
    content = _digest("".join(f"{row.item} {row.outcome} {row.spent_usd}\n" for row in rows))
    publish = batch.spec.publish
    return [
        (ClosingName.EXPORT, content),
        *([(ClosingName.PUBLISH, _digest(content + publish.model_dump_json()))] if publish else []),
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def closing_job(
    found: Object, batch: CommitBenchmarkBatch, attempt: ClosingStatus, settings: ControllerSettings
) -> Object:
    """The Job of an attempt."""
    output = batch.spec.template.output
    labels = APP_LABELS | {
        CONTROLLER_LABEL: settings.controller_name,
        BATCH_LABEL: label_value(batch.metadata.name),
        STAGE_LABEL: attempt.name.value,
    }
    publish = batch.spec.publish if attempt.name is ClosingName.PUBLISH else None
    variables = [*store_variables(output.secret_ref), *(_token(publish) if publish else [])]
    container = worker("stage", attempt.name.value, _request(batch, publish), settings, SUPERVISOR, variables=variables)
    pod = Pod([container], labels, SECONDS, service_account=output.service_account_name)
    return job(_job_name(found, attempt), found, labels, pod, settings)


def _request(batch: CommitBenchmarkBatch, publish: PublishSpec | None) -> str:
    output = batch.spec.template.output
    if publish is None:
        return ExportRequest(
            store=output.store, endpoint=output.endpoint, dataset=dataset_of(batch), batch=batch.metadata.name
        ).argument()
    return PublishRequest(
        store=output.store, endpoint=output.endpoint, dataset=dataset_of(batch), publish=publish
    ).argument()


def _token(publish: PublishSpec) -> list[Object]:
    if publish.secret_ref is None:
        return []
    return [secret_variable(TOKEN, publish.secret_ref.name, publish.secret_ref.key or TOKEN)]


def _job_name(found: Object, attempt: ClosingStatus) -> str:
    metadata = found["metadata"]
    return job_name(metadata["name"], metadata["uid"], attempt.name, attempt.attempt)


async def seen_jobs(
    api: Api, cache: Cache, found: Object, attempts: Sequence[ClosingStatus]
) -> dict[tuple[ClosingName, int], SeenJob]:
    """The Jobs of the attempts that have not ended; a pod is read only when its Job has."""
    return {
        (attempt.name, attempt.attempt): await _seen(api, cache, found, attempt)
        for attempt in attempts
        if not attempt.state.final
    }


async def _seen(api: Api, cache: Cache, found: Object, attempt: ClosingStatus) -> SeenJob:
    namespace, name = found["metadata"]["namespace"], _job_name(found, attempt)
    there = cache.jobs.get(Key(JOBS.plural, namespace, name))
    if there is None:
        return _GONE
    conditions = there.get("status", {}).get("conditions", ())
    true = [said for said in conditions if said["status"] == "True"]
    ended = next((said for said in true if said["type"] in ("Complete", "Failed")), None)
    if ended is None:
        return SeenJob(JobEnd.RUNNING)
    result = await _result(api, namespace, name)
    if ended["type"] == "Complete" and isinstance(result, PodResult):
        return SeenJob(JobEnd.SUCCEEDED if result.succeeded else JobEnd.FAILED, result.message)
    if isinstance(result, PodResult):
        return SeenJob(JobEnd.FAILED, result.message)
    return SeenJob(JobEnd.FAILED, f"{ended.get('message') or 'its Job failed'}; {result}")


async def _result(api: Api, namespace: str, name: str) -> PodResult | str:
    pods = (await api.list(PODS, namespace, f"batch.kubernetes.io/job-name={name}")).items
    messages = (
        status.get("state", {}).get("terminated", {}).get("message")
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", ())
    )
    return parse_pod(next((message for message in messages if message), None))
