"""The command line behind `make cluster-up`, `cluster-down` and `cluster-status`: `python -m cluster up`."""

import argparse
import sys

from cluster import binaries
from cluster.cluster import Cluster, summary
from cluster.control_plane import NotReady
from cluster.profiles import PROFILES


def main() -> int:
    """Do what is asked; 1 with a sentence where that can't be done."""
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.add_argument("command", choices=("build", "images", "up", "down", "status"))
    parser.add_argument("--profile", choices=PROFILES, default="real")
    asked = parser.parse_args()
    cluster = Cluster(PROFILES[asked.profile])
    try:
        return _do(asked.command, cluster)
    except (binaries.Missing, NotReady, TimeoutError, RuntimeError) as problem:
        print(f"cluster: {problem}", file=sys.stderr)
        return 1


def _do(command: str, cluster: Cluster) -> int:
    if command == "build":
        binaries.ensure(binaries.REAL if cluster.profile.real else binaries.FAKE)
    elif command == "images":
        cluster.load_images()
    elif command == "down":
        left = cluster.down()
        print(f"cluster: down; {', '.join(left) or 'nothing'} left behind")
        return bool(left)
    elif command == "up":
        cluster.up()
    if command in ("up", "status"):
        for name, value in summary(cluster).items():
            print(f"{name:15} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
