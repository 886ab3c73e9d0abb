"""The demo: real releases with known performance fixes become repositories, then verified records."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from isobench.adapters.dataset import DatasetFile
from isobench.cli import isobench
from isobench.contracts.objects import BatchCommit, BatchSpec, CommitBenchmarkBatch, Metadata
from isobench.contracts.spec import EfficiencyTest, EnvironmentSpec, RepositorySpec

HERE = Path(__file__).parent
WORK = Path(".work") / "demo"
NAME = "demo"
DATASET = Path("data") / f"{NAME}.jsonl"


@dataclass(frozen=True)
class Pair:
    """Two consecutive releases of a package."""

    name: str
    package: str
    base_version: str
    base_date: str
    base_sdist_sha256: str
    head_version: str
    head_date: str
    head_sdist_sha256: str
    subject: str
    expected: str
    install_commands: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def main() -> int:
    """Fetch the releases, build the repositories, run the batch, and compare the verdicts with what is known."""
    pairs = [Pair(**entry) for entry in tomllib.loads((HERE / "pairs.toml").read_text())["pair"]]
    print(f"demo: fetching {2 * len(pairs)} releases and building {len(pairs)} repositories", flush=True)
    with ThreadPoolExecutor(2) as pool:
        commits = list(pool.map(build, pairs))
    manifest = WORK / "batch.yaml"
    batch = CommitBenchmarkBatch(metadata=Metadata(name=NAME), spec=BatchSpec(commits=commits))
    manifest.write_text(yaml.safe_dump(batch.manifest(), sort_keys=False))
    DATASET.unlink(missing_ok=True)
    exit_code: int = isobench.main(["run", str(manifest), "--new-run"], standalone_mode=False)
    return exit_code if exit_code > 1 else compare(pairs, commits)


def build(pair: Pair) -> BatchCommit:
    """The pair as a repository of two commits, the same hashes on every machine."""
    repository = WORK / "repositories" / pair.name
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "remote", "add", "origin", f"https://demo.invalid/releases/{pair.name}.git")
    fill(repository, release(pair.package, pair.base_version, pair.base_sdist_sha256), pair.exclude)
    base = commit(repository, f"Release {pair.base_version}", pair.base_date)
    fill(repository, release(pair.package, pair.head_version, pair.head_sdist_sha256), pair.exclude)
    head = commit(repository, pair.subject, pair.head_date)
    return BatchCommit(
        head=head,
        base=base,
        repository=RepositorySpec(url=str(repository.absolute())),
        test=EfficiencyTest(inline=(HERE / "tests" / f"{pair.name}.py").read_text()),
        environment=EnvironmentSpec(install_commands=list(pair.install_commands)) if pair.install_commands else None,
    )


def release(package: str, version: str, sha256: str) -> Path:
    """The release's source archive, from the package index or from an earlier demo."""
    folder = WORK / "releases" / f"{package}-{version}"
    if not folder.is_dir():
        partial = folder.with_name(f".{folder.name}.partial")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", str(partial), f"{package}=={version}"], check=True)
        partial.rename(folder)
    archive = next(folder.iterdir())
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != sha256:
        sys.exit(f"demo: {archive} has the digest {digest}, and {sha256} was expected; remove {folder} and try again")
    return archive


def fill(repository: Path, archive: Path, exclude: tuple[str, ...]) -> None:
    """Replace the repository's files by the archive's."""
    for entry in repository.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    with tarfile.open(archive) as packed:
        packed.extractall(repository, filter="data")
    (top,) = (entry for entry in repository.iterdir() if entry.name != ".git")
    for entry in top.iterdir():
        entry.rename(repository / entry.name)
    top.rmdir()
    for path in exclude:
        shutil.rmtree(repository / path)


def commit(repository: Path, subject: str, date: str) -> str:
    """Commit everything, at noon of the release's day, and return the hash."""
    git(repository, "add", "--all", "--force")
    git(repository, "commit", "--quiet", "--message", subject, date=f"{date}T12:00:00+00:00")
    return git(repository, "rev-parse", "HEAD").strip()


def git(repository: Path, *arguments: str, date: str = "") -> str:
    """Run git with a fixed identity and none of the user's settings."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(WORK.absolute()),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "demo",
        "GIT_AUTHOR_EMAIL": "demo@demo.invalid",
        "GIT_COMMITTER_NAME": "demo",
        "GIT_COMMITTER_EMAIL": "demo@demo.invalid",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
    }
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout


def compare(pairs: list[Pair], commits: list[BatchCommit]) -> int:
    """Say whether each verdict is what is known of the release; 1 when one is not."""
    rows = {row["head_commit"]: row for row in DatasetFile(DATASET).rows()}
    wrong = 0
    for pair, planned in zip(pairs, commits, strict=True):
        verdict = rows[planned.head]["measurement"]["verdict"] if planned.head in rows else "no record"
        allowed = ("faster",) if pair.expected == "faster" else ("same", "inconclusive")
        wrong += verdict not in allowed
        said = "as known" if verdict in allowed else f"but {' or '.join(allowed)} was expected"
        print(f"demo: {pair.package} {pair.base_version} -> {pair.head_version}: {verdict}, {said}")
    print(f"demo: the records are in {DATASET}; look at one by `isobench show {commits[0].head[:8]}`")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
