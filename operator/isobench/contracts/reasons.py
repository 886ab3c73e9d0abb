"""Every way an item, a stage or an arm can end: one enum, and for each what follows from it."""

from enum import StrEnum
from typing import NamedTuple


class Family(StrEnum):
    """Whose matter an ending is; the end-of-run summary groups by it."""

    DONE = "done"
    INPUT = "input"
    REPOSITORY = "repository"
    BUILD = "build"
    TEST = "test"
    MEASUREMENT = "measurement"
    MODEL = "model"
    INFRASTRUCTURE = "infrastructure"


class Reason(StrEnum):
    """The outcome of an item, a stage or an arm, in the words that status, journal and metrics share."""

    RECORDED = "Recorded"
    ALREADY_RECORDED = "AlreadyRecorded"

    INVALID_SPEC = "InvalidSpec"
    ITEM_DELETED = "ItemDeleted"

    REPOSITORY_UNREACHABLE = "RepositoryUnreachable"
    REPOSITORY_EMPTY = "RepositoryEmpty"
    REPOSITORY_SHALLOW = "RepositoryShallow"
    COMMIT_NOT_FOUND = "CommitNotFound"
    NO_PARENT = "NoParent"
    GIT_TRANSIENT = "GitTransient"

    BUILD_FAILED = "BuildFailed"
    NEEDS_GPU = "NeedsGpu"

    NO_TEST = "NoTest"
    TEST_INVALID = "TestInvalid"
    LEAK_IN_TEST = "LeakInTest"

    TEST_FAILED = "TestFailed"
    RUN_TIMED_OUT = "RunTimedOut"
    OUT_OF_MEMORY = "OutOfMemory"
    SCRATCH_FULL = "ScratchFull"
    TOO_MANY_PROCESSES = "TooManyProcesses"
    PROCESS_LEFT_BEHIND = "ProcessLeftBehind"
    WROTE_OUTSIDE_SCRATCH = "WroteOutsideScratch"
    TREE_CHANGED = "TreeChanged"
    OUTPUT_TOO_LARGE = "OutputTooLarge"
    NO_MEASUREMENT = "NoMeasurement"
    INVALID_MEASUREMENT = "InvalidMeasurement"
    RESULT_UNSTABLE = "ResultUnstable"

    TIMES_CONTRADICT = "TimesContradict"
    BELOW_RESOLUTION = "BelowResolution"
    WORK_DISPLACED = "WorkDisplaced"
    NOT_EQUIVALENT = "NotEquivalent"
    TOO_SLOW = "TooSlow"

    MODEL_UNAUTHORIZED = "ModelUnauthorized"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    MODEL_UNPRICED = "ModelUnpriced"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    PAID_ATTEMPT_LOST = "PaidAttemptLost"
    ALREADY_STARTED = "AlreadyStarted"
    HUMAN_NOT_FASTER = "HumanNotFaster"
    AGENT_ERROR = "AgentError"

    NETWORK_NOT_ISOLATED = "NetworkNotIsolated"
    STAGE_TIMED_OUT = "StageTimedOut"
    STAGE_LOST = "StageLost"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    DISK_FULL = "DiskFull"
    STORE_UNAVAILABLE = "StoreUnavailable"
    INFRASTRUCTURE_ERROR = "InfrastructureError"

    @property
    def consequence(self) -> "Consequence":
        """What follows from this reason."""
        return CONSEQUENCES[self]

    @property
    def advice_on_cluster(self) -> str:
        """What a person does about it where the item is an object of a cluster."""
        return _ON_A_CLUSTER.get(self, self.consequence.advice)


class Consequence(NamedTuple):
    """What follows from a reason: whose matter it is, whether it is tried again, whether it costs, what to do."""

    family: Family
    retried: bool
    charged: bool
    advice: str


def _final(family: Family, advice: str) -> Consequence:
    return Consequence(family, retried=False, charged=False, advice=advice)


def _transient(family: Family, advice: str) -> Consequence:
    return Consequence(family, retried=True, charged=False, advice=advice)


def _paid(advice: str) -> Consequence:
    return Consequence(Family.MODEL, retried=False, charged=True, advice=advice)


_NO_KEY = "put a valid key into the variable that the message names, then run again"

# Only infrastructure is tried again (design: "Only infrastructure is retried"), once, and never what was paid for.
CONSEQUENCES: dict[Reason, Consequence] = {
    Reason.RECORDED: _final(Family.DONE, "nothing"),
    Reason.ALREADY_RECORDED: _final(Family.DONE, "nothing: the dataset has a record for this commit"),
    Reason.INVALID_SPEC: _final(Family.INPUT, "correct the field that the message names"),
    Reason.ITEM_DELETED: _final(Family.INPUT, "nothing, if that was meant; else plan the commit in another batch"),
    Reason.REPOSITORY_UNREACHABLE: _final(Family.REPOSITORY, "check the URL, the network and the credentials"),
    Reason.REPOSITORY_EMPTY: _final(Family.REPOSITORY, "name a repository that has commits"),
    Reason.REPOSITORY_SHALLOW: _final(Family.REPOSITORY, "run `git fetch --unshallow` in it, or name its origin"),
    Reason.COMMIT_NOT_FOUND: _final(Family.REPOSITORY, "check the hash, or name the repository that holds it"),
    Reason.NO_PARENT: _final(Family.REPOSITORY, "give a base commit: a root commit has none"),
    Reason.GIT_TRANSIENT: _transient(Family.REPOSITORY, "run again: the network broke twice"),
    Reason.BUILD_FAILED: _final(Family.BUILD, "read the last lines; give installCommands or another Python"),
    Reason.NEEDS_GPU: _final(Family.BUILD, "run this item on a machine with a GPU"),
    Reason.NO_TEST: _final(Family.TEST, "put a test into tests_dir, give one inline, or turn generation on"),
    Reason.TEST_INVALID: _final(Family.TEST, "mend the test: it must run on base and print its time"),
    Reason.LEAK_IN_TEST: _final(Family.TEST, "remove what names the human change from the test"),
    Reason.TEST_FAILED: _final(Family.TEST, "read the arm's output in the journal"),
    Reason.RUN_TIMED_OUT: _final(Family.TEST, "make the workload smaller or raise timing.runTimeoutSeconds"),
    Reason.OUT_OF_MEMORY: _final(Family.TEST, "make the workload smaller or raise timing.memoryMib"),
    Reason.SCRATCH_FULL: _final(Family.TEST, "write less, or raise timing.scratchMib"),
    Reason.TOO_MANY_PROCESSES: _final(Family.TEST, "start fewer processes in the test"),
    Reason.PROCESS_LEFT_BEHIND: _final(Family.TEST, "end every process that the test starts before it exits"),
    Reason.WROTE_OUTSIDE_SCRATCH: _final(Family.TEST, "write below TMPDIR: trees and environments are read-only"),
    Reason.TREE_CHANGED: _final(Family.TEST, "write below TMPDIR: the test changed the tree that it measures"),
    Reason.OUTPUT_TOO_LARGE: _final(Family.TEST, "print less than 1 MiB"),
    Reason.NO_MEASUREMENT: _final(Family.TEST, "print a JSON line with avg_ms, or `Execution time: <seconds>s`"),
    Reason.INVALID_MEASUREMENT: _final(Family.TEST, "print a finite time that is not negative"),
    Reason.RESULT_UNSTABLE: _final(Family.TEST, "make the workload deterministic: seed it, sort what it hashes"),
    Reason.TIMES_CONTRADICT: _final(Family.MEASUREMENT, "print the time of one iteration, as the clock gave it"),
    Reason.BELOW_RESOLUTION: _final(Family.MEASUREMENT, "make the workload longer than 1 ms; print more digits"),
    Reason.WORK_DISPLACED: _final(Family.MEASUREMENT, "time all of the work: some moved out of the timed part"),
    Reason.NOT_EQUIVALENT: _final(Family.MEASUREMENT, "the arms compute different results: compare like with like"),
    Reason.TOO_SLOW: _final(Family.MEASUREMENT, "make the workload smaller or raise timing.timeoutSeconds"),
    Reason.MODEL_UNAUTHORIZED: _final(Family.MODEL, _NO_KEY),
    Reason.MODEL_UNAVAILABLE: _final(Family.MODEL, "try later, or name another model"),
    Reason.MODEL_UNPRICED: _final(Family.MODEL, "give the model's prices under [pricing] in the configuration"),
    Reason.BUDGET_EXHAUSTED: _paid("raise the cap, or take a cheaper model"),
    Reason.PAID_ATTEMPT_LOST: _paid("ask for it again by `isobench run --retry ITEM`: it is charged at its cap"),
    Reason.ALREADY_STARTED: _paid("ask for it again by `isobench run --retry ITEM`: it is charged at its cap"),
    Reason.HUMAN_NOT_FASTER: _final(Family.MEASUREMENT, "choose another commit, or set requireHumanSpeedup: false"),
    Reason.AGENT_ERROR: _paid("read the agent's journal"),
    Reason.NETWORK_NOT_ISOLATED: _final(
        Family.INFRASTRUCTURE,
        "allow user namespaces (see `isobench doctor`), or accept it by --allow-network",
    ),
    Reason.STAGE_TIMED_OUT: _transient(Family.INFRASTRUCTURE, "raise the stage's time-out"),
    Reason.STAGE_LOST: _transient(Family.INFRASTRUCTURE, "run again"),
    Reason.IMAGE_UNAVAILABLE: _final(
        Family.INFRASTRUCTURE, "check the image's name, its registry and the pull secret, then ask for it again"
    ),
    Reason.DISK_FULL: _final(Family.INFRASTRUCTURE, "free some space under the work root, then run again"),
    Reason.STORE_UNAVAILABLE: _transient(Family.INFRASTRUCTURE, "check that the output can be written"),
    Reason.INFRASTRUCTURE_ERROR: _transient(Family.INFRASTRUCTURE, "read the message; run again"),
}

_AGAIN = "`kubectl isobench retry ITEM`"

# Where what a person has in hand on a cluster is another thing than on one machine.
_ON_A_CLUSTER = {
    Reason.ITEM_DELETED: "nothing, if that was meant; else apply the commit in another batch",
    Reason.REPOSITORY_SHALLOW: "name a repository that has the whole history",
    Reason.GIT_TRANSIENT: f"ask for it again by {_AGAIN}: the network broke twice",
    Reason.NEEDS_GPU: "name a GPU in environment.resources and timing.resources, and an image that can use it",
    Reason.NO_TEST: "give the test inline, in a ConfigMap by test.configMapKeyRef, or turn generation on",
    Reason.TEST_FAILED: "read the arm's output in the journal, which is in the store",
    Reason.MODEL_UNAUTHORIZED: f"put a valid key into the Secret that the spec names, then {_AGAIN}",
    Reason.PAID_ATTEMPT_LOST: f"ask for it again by {_AGAIN}: it is charged at its cap",
    Reason.ALREADY_STARTED: f"ask for it again by {_AGAIN}: it is charged at its cap",
    Reason.AGENT_ERROR: "read the agent's journal, which is in the store",
    Reason.NETWORK_NOT_ISOLATED: f"have the cluster enforce network policies, and none open the pods, then {_AGAIN}",
    Reason.STAGE_LOST: f"ask for it again by {_AGAIN}",
    Reason.DISK_FULL: f"give the workspace's claim more room, then {_AGAIN}",
    Reason.INFRASTRUCTURE_ERROR: f"read the message, then {_AGAIN}",
}


class ItemFailure(Exception):
    """One item, stage or arm can't go on; the batch does."""

    def __init__(self, reason: Reason, message: str) -> None:
        """``message`` is one sentence that names the thing, the value and the remedy."""
        self.reason = reason
        self.message = message
        super().__init__(f"{reason}: {message}")
