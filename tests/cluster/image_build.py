"""Builds isobench's images for the test cluster, on a base of Debian's packages; kept by a digest of their sources."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.binaries import CACHE, Missing

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:trixie-slim"
_STORE = CACHE / "containers"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists", "var/log")


@dataclass(frozen=True)
class ImageSet:
    """Images that are built and loaded together, and everything that goes into them."""

    names: tuple[str, ...]
    sources: tuple[str, ...]
    after: "ImageSet | None" = None

    def archive(self) -> Path:
        """Where the archive of these sources' images is, or will be."""
        return CACHE / "images" / f"{self.names[0]}-{_digest(self.sources)}.tar"

    def ensure(self) -> Path:
        """Build the images unless these sources' are there, and return the archive of all of them.

        Raises:
            Missing: a program is not here, or a build failed.
        """
        if self.after:
            self.after.ensure()
        target = self.archive()
        if not target.exists():
            with _one_build_at_a_time():
                if not target.exists():
                    _build(self.names, target)
        return target


_BASE_SOURCES = ("images/environment", "pyproject.toml", "requirements/bootstrap.txt", "tests/cluster/offline")
ITEMS = ImageSet(
    ("operator", "worker", "environment"),
    (*_BASE_SOURCES, "Dockerfile", "operator", "requirements/operator.txt", "requirements/worker.txt"),
)
AGENT = ImageSet(
    ("agent",),
    (
        *(*_BASE_SOURCES, "images/agent", "requirements/agent.txt"),
        *(f"operator/isobench/{folder}" for folder in ("probe", "adapters/agents")),
    ),
    after=ITEMS,
)


def _build(names: tuple[str, ...], target: Path) -> None:
    for program, package in (("buildah", "buildah"), ("podman", "podman"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            raise Missing(f"{package} is not installed: CLUSTER=1 scripts/install_test_tools.sh installs it on Debian")
    if not _exists(BASE):
        _build_base()
    print(f"cluster: building the images {', '.join(names)}", flush=True)
    _run([str(ROOT / "scripts" / "build_images.sh"), *names], {"BUILDER": _buildah(), "BUILD_OPTIONS": "--pull-never"})
    if "environment" in names:
        _bud(ROOT / "tests" / "cluster" / "offline", "isobench-environment:dev")
    target.parent.mkdir(exist_ok=True)
    for old in target.parent.glob(f"{names[0]}-*"):
        old.unlink()
    full = [f"docker.io/library/isobench-{name}:dev" for name in names]
    for name in full:
        _run([*_buildah().split(), "tag", f"localhost/{Path(name).name}", name])
    partial = target.with_suffix(".partial")
    _run(["podman", *_storage(), "save", "--quiet", "--multi-image-archive", f"--output={partial}", *full])
    partial.rename(target)


def _build_base() -> None:
    """Debian's minimal system, with the authorities that this machine trusts, in the place of the registry's image."""
    print("cluster: building the base image", flush=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        system = Path(folder, "system")
        _run(["debootstrap", "--variant=minbase", "--include=ca-certificates", "trixie", str(system)])
        for path in _UNUSED:
            shutil.rmtree(system / path, ignore_errors=True)
            (system / path).mkdir()
        if _CERTIFICATES.exists():
            own = system / "usr/local/share/ca-certificates/machine.crt"
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_CERTIFICATES, own)
            shutil.copy(_CERTIFICATES, system / "etc/ssl/certs/ca-certificates.crt")
        Path(folder, "Dockerfile").write_text('FROM scratch\nCOPY system /\nCMD ["bash"]\n')
        _bud(Path(folder), BASE)


def _bud(folder: Path, name: str) -> None:
    options = ("--quiet", "--layers", "--isolation=chroot", "--format=docker", "--pull-never", f"--tag={name}")
    _run([*_buildah().split(), "build", *options, str(folder)])


def _exists(name: str) -> bool:
    command = [*_buildah().split(), "inspect", "--type=image", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _buildah() -> str:
    return " ".join(["buildah", *_storage()])


def _storage() -> list[str]:
    return [f"--root={_STORE}", f"--runroot={_STORE}-run", "--storage-driver=overlay"]


def _run(command: list[str], variables: dict[str, str] | None = None) -> None:
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-3000:]
        raise Missing(f"the images could not be built: `{' '.join(command)}` said {said}")


@contextmanager
def _one_build_at_a_time() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        for path in sorted(_files(ROOT / source)):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    else:
        yield from (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
