"""The extraction file: what an earlier mining step knows of one performance commit; unknown keys are kept."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from isobench.contracts.base import Contract

CommitHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{7,40}$", to_lower=True)]


class Extraction(Contract):
    """One commit's extraction: ``commit_hash`` is needed, everything else is kept when present.

    ``repo_path`` of public extraction files is somebody else's path: it is kept like any unknown key and never used.
    """

    model_config = ConfigDict(extra="allow")

    commit_hash: CommitHash
    parent_hash: CommitHash | None = Field(default=None, description="Absent or null: the first parent.")
    pr_url: str | None = None
    commit_subject: str | None = None
    commit_message: str | None = None
    commit_date: str | None = None
    files_changed: list[str] | None = None
    functions_changed: list[Any] | None = None
    stats: dict[str, Any] | None = None
    diff_text: str | None = None
    apis: list[Any] | None = None
    affected_paths: list[str] | None = None
    test_details: Any = None
    perf_command: str | None = None
    llm_reason: Any = None
    csv_metadata: dict[str, Any] | None = None
