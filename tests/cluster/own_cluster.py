"""The cluster that is made here, as tests ask for it; `given_cluster` answers the same for somebody else's."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.cluster import Cluster


class OwnCluster(Cluster):
    """Its servers and this machine share one network, and its images are on the node."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.plane.kubeconfig

    @property
    def api_server_address(self) -> str:
        """The API server's, from pods."""
        return f"{self.profile.address}:{self.plane.port}"

    @property
    def s3_from_here(self) -> str:
        """The S3 server's address from tests."""
        return self.s3_endpoint

    @property
    def settings(self) -> dict[str, str]:
        """The operator's, where they are not its defaults: which images."""
        return {}

    @property
    def chart_values(self) -> dict[str, Any]:
        """The chart's: which images, and whether a release brings the kinds."""
        return {"images": {"pullPolicy": "Never"}, "crds": {"install": True}}

    @contextmanager
    def serve(self, repository: Path) -> Iterator[str]:
        """The git server's address of a copy of ``repository``, which is called fast/swift there."""
        key = secrets.token_hex(4)
        place = self.git_folder / key / "fast" / "swift.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", repository, place], check=True)
        try:
            yield f"{self.git_url}/{key}/fast/swift.git"
        finally:
            shutil.rmtree(self.git_folder / key)
