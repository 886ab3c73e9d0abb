"""What `prepare` leaves in the workspace for the stages after it: the commits' facts and the arms that were built."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.reasons import Reason
from isobench.contracts.record import ApiSummary, Arm


class PreparedArm(Contract):
    """One arm, ready to be timed; or why it is not."""

    name: Arm
    commit: str
    tree: str
    environment: str | None = None
    python: str | None = None
    python_version: str | None = None
    install_sha: str | None = None
    api_manifest: str | None = Field(default=None, description="Its public names, relative to the item's folder.")
    api_summary: ApiSummary | None = None
    reason: Reason | None = Field(default=None, description="Why the arm could not be built.")
    message: str | None = None

    @property
    def ready(self) -> bool:
        """Whether the arm can be timed."""
        return self.reason is None


class CommitSummary(Contract):
    """The record's fields that follow from the commits alone."""

    repo: str
    instance_id: str
    created_at: str
    base_commit: str
    head_commit: str
    main_commit: str | None = None
    patch: str
    message: str
    subject: str


class FetchedArm(Contract):
    """One arm's commit, and its plain tree."""

    name: Arm
    commit: str
    tree: str
    tree_hash: str
    committed_at: datetime


class Fetched(Contract):
    """What the commits say, before anything is built; on a cluster `fetched.json`, from one container to the next."""

    version: Literal[1] = 1
    commits: CommitSummary
    arms: list[FetchedArm]
    base_version: str = Field(description="The version that base's history gives to a project which asks git for it.")
    test_supplied: bool
    canary: str | None = Field(default=None, description="The canary's plain address, where it was reached.")
    notes: list[str] = Field(default_factory=list)


class Prepared(Contract):
    """`prepared.json`."""

    version: Literal[1] = 1
    commits: CommitSummary
    arms: list[PreparedArm]
    image: str | None = Field(default=None, description="Identity of the image that arms were built in, if any.")
    base_version: str | None = Field(default=None, description="What base's history gives to a project that asks it.")
    test_supplied: bool = True
    canary: str | None = Field(default=None, description="The canary's plain address, where it was reached.")
    notes: list[str] = Field(default_factory=list)

    def arm(self, name: Arm) -> PreparedArm | None:
        """The arm of that name."""
        return next((arm for arm in self.arms if arm.name == name), None)
