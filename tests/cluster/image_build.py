"""Builds isobench's images for the test cluster, on a base of Debian's packages; kept by a digest of their sources."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.binaries import CACHE, Missing

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:trixie-slim"
NAMES = ("operator", "worker", "environment")
_STORE = CACHE / "containers"
_SOURCES = (
    *("Dockerfile", "images/environment", "operator", "pyproject.toml", "tests/cluster/offline"),
    *(f"requirements/{name}.txt" for name in ("bootstrap", "operator", "worker")),
)
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists", "var/log")


def archive() -> Path:
    """Where the archive of these sources' images is, or will be."""
    return CACHE / "images" / f"{_key()}.tar"


def ensure() -> Path:
    """Build the images unless these sources' are there, and return the archive of all of them.

    Raises:
        Missing: a program is not here, or a build failed.
    """
    target = archive()
    if not target.exists():
        with _one_build_at_a_time():
            if not target.exists():
                _build(target)
    return target


def _build(target: Path) -> None:
    for program, package in (("buildah", "buildah"), ("podman", "podman"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            raise Missing(f"{package} is not installed: CLUSTER=1 scripts/install_test_tools.sh installs it on Debian")
    if not _exists(BASE):
        _build_base()
    print("cluster: building the images", flush=True)
    _run([str(ROOT / "scripts" / "build_images.sh"), *NAMES], {"BUILDER": _buildah(), "BUILD_OPTIONS": "--pull-never"})
    _bud(ROOT / "tests" / "cluster" / "offline", "isobench-environment:dev")
    target.parent.mkdir(exist_ok=True)
    for old in target.parent.glob("*.tar"):
        old.unlink()
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    names = [f"docker.io/library/isobench-{name}:dev" for name in NAMES]
    for name in names:
        _run([*_buildah().split(), "tag", f"localhost/{Path(name).name}", name])
    _run(["podman", *_storage(), "save", "--quiet", "--multi-image-archive", f"--output={partial}", *names])
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


def _key() -> str:
    """A digest of everything that goes into the images."""
    digest = hashlib.sha256()
    for source in _SOURCES:
        for path in sorted(_files(ROOT / source)):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    else:
        yield from (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
