"""The hub's client: reads a published split, merges records into it and commits the result, all or nothing.

This is the one module that imports `datasets` and `huggingface_hub`, and it runs as a process of its own (see
`isobench.adapters.hub.publishing`): a request in JSON on standard input, the answer in JSON on standard output.

Rows never pass through Python on their way: published ones stay Arrow, so that columns and types which isobench does
not know survive. One commit holds the Parquet file and the card, on the condition that its parent is the commit that
was read; when somebody else was faster, everything is read and merged again.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetInfo, Features, SplitInfo, load_dataset_builder
from datasets.data_files import EmptyDatasetError, sanitize_patterns
from datasets.exceptions import DataFilesNotFoundError, DatasetsError
from datasets.info import DatasetInfosDict
from datasets.splits import SplitDict
from datasets.utils.metadata import MetadataConfigs
from httpx2 import HTTPError
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, DatasetCard, HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError

from isobench.adapters.hub.columns import NotPublishable, merged_split, one_line, record_table
from isobench.engine.merging import Row, merge

ATTEMPTS = 5
"""How often the split is read again because another commit came first."""
CONFIGURATION = "default"
CARD = "README.md"
NEW_CARD = "Performance commits of real repositories as verified benchmark tasks, made with isobench.\n"


@dataclass(frozen=True, slots=True)
class Target:
    """One split of one repository."""

    repo_id: str
    split: str
    private: bool

    @property
    def path(self) -> str:
        """The Parquet file that holds the split."""
        return f"data/{self.split}-00000-of-00001.parquet"


@dataclass(frozen=True, slots=True)
class Published:
    """What a repository holds at one commit; ``revision`` is None where there is no repository."""

    revision: str | None
    rows: pa.Table
    """The split's rows, with the columns of the other splits too: all splits share one list of features."""
    features: Features
    files: Mapping[str, Sequence[str]]
    """Split to the paths that hold it."""
    card: DatasetCard


def main() -> None:
    """Answer the request on standard input; what the client prints goes to standard error."""
    request = json.load(sys.stdin)
    api = HfApi(token=os.environ["HF_TOKEN"])
    target = Target(request["repo_id"], request["split"], request["private"])
    with contextlib.redirect_stdout(sys.stderr):
        try:
            answer = publish(api, target, request["rows"], dry_run=request["dry_run"])
        except NotPublishable as refusal:
            answer = {"error": str(refusal)}
    json.dump(answer, sys.stdout)


def publish(api: HfApi, target: Target, rows: Sequence[Row], *, dry_run: bool) -> dict[str, Any]:
    """Merge ``rows`` into the target's split; returns ``existing``, ``total``, ``changes`` and ``commit_url``.

    Raises:
        NotPublishable: one sentence.
    """
    new = record_table(rows)
    for _ in range(ATTEMPTS):
        with _explained(api.endpoint, target):
            published = read(api, target)
            if published.revision is None and not dry_run:
                api.create_repo(target.repo_id, repo_type="dataset", private=target.private, exist_ok=True)
                published = read(api, target)
            merged = merge(published.rows.to_pylist(), rows)
            split = merged_split(published.rows, published.features, new, merged)
            answer = {
                "existing": published.rows.num_rows,
                "total": split.num_rows,
                "changes": [asdict(change) for change in merged.changes],
                "commit_url": None,
            }
            if dry_run or merged.count("unchanged") == len(merged.changes):
                return answer
            if (commit_url := commit(api, target, published, split)) is not None:
                return answer | {"commit_url": commit_url}
    raise NotPublishable(
        f"others wrote to {target.repo_id} during each of {ATTEMPTS} attempts; publish again when they are done"
    )


def read(api: HfApi, target: Target) -> Published:
    """What the repository holds now, however its files are laid out."""
    try:
        revision = api.dataset_info(target.repo_id).sha
    except RepositoryNotFoundError as missing:
        if missing.response.status_code != HTTPStatus.NOT_FOUND:
            raise
        return Published(None, pa.table({}), Features(), {}, DatasetCard(NEW_CARD))
    card = _card(api, target, revision)
    try:
        builder = load_dataset_builder(target.repo_id, revision=revision, token=api.token)
    except (EmptyDatasetError, DataFilesNotFoundError):
        return Published(revision, pa.table({}), Features(), {}, card)
    if builder.config.name != CONFIGURATION:
        raise NotPublishable(
            f"{target.repo_id} holds the configuration {builder.config.name!r} and not {CONFIGURATION!r}; "
            "publish to a repository of its own"
        )
    features = builder.info.features or Features()
    rows = features.arrow_schema.remove_metadata().empty_table()
    files = {
        str(split): [url.partition(f"@{revision}/")[2] for url in urls]
        for split, urls in builder.config.data_files.items()
    }
    if target.split in files:
        builder.download_and_prepare(verification_mode="no_checks")
        split = builder.as_dataset(target.split)
        features = Features(features | split.features)
        stored = split.with_format("arrow")[:].replace_schema_metadata(None)
        rows = pa.concat_tables([rows, stored], promote_options="permissive")
    return Published(revision, rows, features, files, card)


def commit(api: HfApi, target: Target, published: Published, split: Dataset) -> str | None:
    """Write the split and the card as one commit on top of what was read; None when that is no longer the latest."""
    parquet = BytesIO()
    split.to_parquet(parquet)
    superseded = [
        path
        for path in published.files.get(target.split, ())
        if path.startswith(f"data/{target.split}-") and path != target.path
    ]
    try:
        return api.create_commit(
            target.repo_id,
            repo_type="dataset",
            parent_commit=published.revision,
            commit_message=f"Publish {split.num_rows} rows in split {target.split}",
            operations=[
                CommitOperationAdd(target.path, parquet.getvalue()),
                CommitOperationAdd(CARD, described(target, published, split).encode()),
                *map(CommitOperationDelete, superseded),
            ],
        ).commit_url
    except HfHubHTTPError as refusal:
        if refusal.response.status_code in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            return None
        raise


def described(target: Target, published: Published, split: Dataset) -> str:
    """The published card, with this split's file, features and size in its metadata; the rest stays as it is."""
    data = published.card.data
    configuration = MetadataConfigs.from_dataset_card_data(data).get(CONFIGURATION, {})
    declared = configuration.get("data_files")
    paths = {**(sanitize_patterns(declared) if declared else published.files), target.split: [target.path]}
    data_files = [{"split": str(name), "path": list(patterns)} for name, patterns in paths.items()]
    MetadataConfigs({CONFIGURATION: {**configuration, "data_files": data_files}}).to_dataset_card_data(data)

    known = DatasetInfosDict.from_dataset_card_data(data).get(CONFIGURATION, DatasetInfo())
    splits = known.splits or SplitDict()
    splits[target.split] = SplitInfo(target.split, num_bytes=split.data.nbytes, num_examples=split.num_rows)
    info = DatasetInfo(features=split.features, splits=splits)
    DatasetInfosDict({CONFIGURATION: info}).to_dataset_card_data(data)
    return str(published.card)


def _card(api: HfApi, target: Target, revision: str | None) -> DatasetCard:
    try:
        path = api.hf_hub_download(target.repo_id, CARD, repo_type="dataset", revision=revision)
    except EntryNotFoundError:
        return DatasetCard(NEW_CARD)
    return DatasetCard(Path(path).read_text(encoding="utf-8"))


@contextlib.contextmanager
def _explained(endpoint: str, target: Target) -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError, DatasetsError) as error:
        raise NotPublishable(_sentence(error, endpoint, target)) from error


def _sentence(error: BaseException, endpoint: str, target: Target) -> str:
    for cause in _causes(error):
        if isinstance(cause, HfHubHTTPError):
            return _refusal(cause, target)
        if isinstance(cause, (HTTPError, ConnectionError)):
            return (
                f"the hub at {endpoint} cannot be reached or hung up ({one_line(cause)}); check the network and the "
                "endpoint and publish again, which repeats nothing"
            )
    return (
        f"the published split {target.split} of {target.repo_id} cannot be read ({one_line(error)}); "
        "nothing was changed: repair it or publish to another repository"
    )


def _refusal(error: HfHubHTTPError, target: Target) -> str:
    status = error.response.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        return f"the hub does not accept the token in HF_TOKEN (401) for {target.repo_id}; set a valid one"
    if status == HTTPStatus.FORBIDDEN:
        return f"the token in HF_TOKEN may not write to {target.repo_id} (403); use one with write access to it"
    said = one_line(error.server_message or "it says no more")
    return f"the hub answered {status} for {target.repo_id} ({said}); nothing was published, try again later"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    main()
