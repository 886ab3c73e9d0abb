"""The demo on a cluster: puts its repositories where the cluster's git server finds them, and writes the batch.

on_cluster.py FOLDER [--url http://10.244.255.1:8080] [--write config/samples/batch-demo.yaml]
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import demo
from isobench.adapters.manifests import manifest_text
from isobench.contracts.objects import BatchCommit, BatchSpec, BatchTemplate, CommitBenchmarkBatch, Metadata
from isobench.contracts.spec import OutputSpec, RepositorySpec, SecretRef, TimingSpec

PAIRS = ("idna-contextj", "jinja2-urlize", "pathspec-neutral")
TEST_CLUSTER = "10.244.255.1"
"""Where the test cluster's git server and S3 server are, for its pods and for this machine."""

HEADER = """\
# Three pairs of real releases, two with a known fix, on the test cluster (docs/try-on-a-cluster.md): written by
# `scripts/demo/on_cluster.py`, which also fills the cluster's git server. Records come to s3://isobench/demo.
"""


def main() -> None:
    """Build, serve, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="What the git server serves.")
    parser.add_argument("--url", default=f"http://{TEST_CLUSTER}:8080", help="The git server's address.")
    parser.add_argument("--write", type=Path, help="Write the batch's manifest here.")
    asked = parser.parse_args()
    pairs = [demo.Pair(**entry) for entry in tomllib.loads((demo.HERE / "pairs.toml").read_text())["pair"]]
    commits = [serve(pair, asked.folder, asked.url) for pair in pairs if pair.name in PAIRS]
    if asked.write:
        asked.write.write_text(HEADER + manifest_text(batch(commits)))


def serve(pair: demo.Pair, folder: Path, url: str) -> BatchCommit:
    """Build the pair's repository and put a bare copy of it into the folder."""
    commit = demo.build(pair)
    name = f"releases/{pair.name}.git"
    shutil.rmtree(folder / name, ignore_errors=True)
    source = demo.WORK / "repositories" / pair.name
    subprocess.run(["git", "clone", "--quiet", "--bare", "--no-local", str(source), str(folder / name)], check=True)
    return commit.model_copy(update={"repository": RepositorySpec(url=f"{url}/{name}")})


def batch(commits: list[BatchCommit]) -> CommitBenchmarkBatch:
    """The batch over them, with records in the test cluster's store."""
    secret = SecretRef(name="isobench-store")
    output = OutputSpec(store="s3://isobench/demo", endpoint=f"http://{TEST_CLUSTER}:7070", secret_ref=secret)
    spec = BatchSpec(commits=commits, template=BatchTemplate(output=output, timing=TimingSpec(max_pairs=20)))
    return CommitBenchmarkBatch(metadata=Metadata(name="demo"), spec=spec)


if __name__ == "__main__":
    sys.exit(main())
