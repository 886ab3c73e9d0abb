"""Publishing a dataset to the hub: who may, where to, and a process of its own in which the hub's client runs.

The client reads its settings (cache folder, endpoint, transfer protocol) once, when it is imported. A child process
is given them for certain, whatever this one has imported before; its caches stay in the work root, its progress bars
and tracebacks in the child, and the token in an environment, never in an argument list.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from isobench.engine.merging import RowChange, require_records

TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - the variable's name, not a token
CLIENT_MODULE = "isobench.adapters.hub.client"


class PublishError(Exception):
    """Nothing was published; the message is one sentence with the remedy, and holds no secret."""


@dataclass(frozen=True, slots=True)
class HubTarget:
    """One split of one dataset repository, and what it takes to write there."""

    repo_id: str
    """``<owner>/<name>``."""
    token: str | None = field(repr=False)
    cache_dir: Path
    """Folder inside the work root for what the client stores while it works; nothing stays there."""
    split: str = "test"
    private: bool = True
    """Whether the repository, where it has to be created, is private."""
    endpoint: str | None = None
    """The hub's address; None is the public one."""


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What publishing changed, or, in a dry run, would change."""

    existing: int
    """Rows in the split before."""
    total: int
    """Rows in the split after."""
    changes: tuple[RowChange, ...]
    """One per record, in the order of the records."""
    commit_url: str | None
    """The commit that holds the change; None in a dry run and where there was nothing to change."""

    def count(self, change: str) -> int:
        """How many records were "added", "replaced" or "unchanged"."""
        return sum(row.change == change for row in self.changes)


def publish(rows: Sequence[Mapping[str, Any]], target: HubTarget, *, min_records: int, dry_run: bool) -> PublishReport:
    """Merge ``rows``, as they stand in the JSONL, into the target's split by one commit; a dry run only reads.

    Raises:
        InvalidInput: there are fewer than ``min_records`` rows.
        PublishError: the token, the hub, the repository or what it holds does not allow it.
    """
    require_records(len(rows), min_records)
    if not target.token:
        raise PublishError(
            f"publishing to {target.repo_id} needs a token with write access: set the variable {TOKEN_VARIABLE}"
        )
    if find_spec("datasets") is None or find_spec("huggingface_hub") is None:
        raise PublishError("publishing needs the hub's client, which is not installed: pip install 'isobench[publish]'")
    target.cache_dir.mkdir(parents=True, exist_ok=True)
    request = {
        "rows": rows,
        "repo_id": target.repo_id,
        "split": target.split,
        "private": target.private,
        "dry_run": dry_run,
    }
    with TemporaryDirectory(dir=target.cache_dir, prefix="hub-", ignore_cleanup_errors=True) as cache:
        client = subprocess.run(
            [sys.executable, "-m", CLIENT_MODULE],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            env=_client_environment(target, cache),
        )
    return _report(client, target)


def _client_environment(target: HubTarget, cache: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    settings = {
        TOKEN_VARIABLE: target.token or "",
        "HF_HOME": cache,
        "TMPDIR": cache,
        "XDG_CACHE_HOME": cache,
        "HF_HUB_DISABLE_XET": "1",  # plain LFS: one protocol, which every hub and mirror speaks
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # else a third party learns the repository's name
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    endpoint = {"HF_ENDPOINT": target.endpoint.rstrip("/")} if target.endpoint else {}
    return inherited | settings | endpoint


def _report(client: subprocess.CompletedProcess[str], target: HubTarget) -> PublishReport:
    if client.returncode != 0:
        last_line = (client.stderr.strip().splitlines() or [f"exit status {client.returncode}"])[-1]
        answer: dict[str, Any] = {
            "error": f"the hub's client failed on {target.repo_id}, and nothing was published: {last_line}"
        }
    else:
        answer = json.loads(client.stdout)
    if "error" in answer:
        raise PublishError(answer["error"].replace(target.token or "", "***"))
    changes = tuple(RowChange(**change) for change in answer["changes"])
    return PublishReport(answer["existing"], answer["total"], changes, answer["commit_url"])
