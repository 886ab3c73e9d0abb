"""publish: the end of a batch that asks for it; its dataset goes to the hub."""

from collections.abc import Mapping
from pathlib import Path

from isobench.adapters.dataset import DatasetFile
from isobench.adapters.hub.publishing import TOKEN_VARIABLE, HubTarget, PublishReport, publish
from isobench.contracts.objects import PublishSpec
from isobench.engine.dataset_names import hub_repo_id

ENDPOINT_VARIABLE = "HF_ENDPOINT"


def publish_dataset(
    dataset: Path, spec: PublishSpec, variables: Mapping[str, str], cache: Path, *, dry_run: bool = False
) -> PublishReport:
    """Merge the records of the file ``dataset`` into the split that ``spec`` names; ``variables`` hold the token.

    Raises:
        InvalidInput: there are too few records, or ``spec`` names no repository.
        PublishError: the token, the hub or what it holds does not allow it.
    """
    target = HubTarget(
        repo_id=hub_repo_id(spec.repo, dataset.stem),
        token=variables.get(TOKEN_VARIABLE),
        cache_dir=cache,
        private=spec.private,
        endpoint=variables.get(ENDPOINT_VARIABLE),
    )
    rows = list(DatasetFile(dataset).rows())
    return publish(rows, target, min_records=spec.min_records, dry_run=dry_run)
