"""The two clusters that can be made here, and their places: folders, addresses, names."""

from dataclasses import dataclass
from pathlib import Path

STATE = Path("/var/tmp/isobench-cluster")


@dataclass(frozen=True)
class Profile:
    """A kind of cluster; at most one of each is up at a time, and both may be."""

    name: str
    number: int
    real: bool

    @property
    def folder(self) -> Path:
        """Everything that the running cluster writes; removed by `down`."""
        return STATE / self.name

    @property
    def address(self) -> str:
        """The node's, where the API server, the S3 server and the git server listen; the same for pods and tests."""
        return f"10.244.255.{self.number}"

    @property
    def pods(self) -> str:
        """The addresses of its pods."""
        return f"10.244.{self.number}.0/24"

    @property
    def second(self) -> tuple[str, str]:
        """The address of the second node, where a test starts one, and those of its pods."""
        return f"10.244.255.{100 + self.number}", f"10.244.{100 + self.number}.0/24"

    @property
    def link(self) -> str:
        """The machine's end of the cable to the cluster."""
        return f"isobench-{self.name}"

    @property
    def cgroups(self) -> tuple[str, str]:
        """What the pods of the first and of the second node are below."""
        return self.link, f"{self.link}-2"

    @property
    def ends(self) -> tuple[str, str]:
        """The cable's addresses: the machine's and the cluster's."""
        first = 4 * (self.number - 1)
        return f"10.244.254.{first + 1}", f"10.244.254.{first + 2}"


REAL = Profile("real", 1, real=True)
FAKE = Profile("fake", 2, real=False)
PROFILES = {profile.name: profile for profile in (REAL, FAKE)}
