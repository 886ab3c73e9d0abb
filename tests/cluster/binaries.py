"""The programs of the cluster: built from Go modules at pinned versions, once, and kept outside the repository."""

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

KUBERNETES = "1.34.4"
CACHE = Path(os.environ.get("ISOBENCH_CLUSTER_CACHE") or Path.home() / ".cache" / "isobench" / "cluster")
_SOURCES = Path(__file__).parent / "go"
_VERSION = "k8s.io/component-base/version"
_LINK = f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=34"


class Missing(Exception):
    """Something that the cluster needs is not on this machine; says how to get it."""


@dataclass(frozen=True)
class Program:
    """A program and where its source is: a package of a module in ``go/``, or a published command at a version."""

    name: str
    package: str
    module: str | None = None

    def build(self, target: Path) -> None:
        """Compile it into the folder ``target``."""
        options = ("-trimpath", f"-ldflags={_LINK}", "-buildvcs=false")
        if self.module:
            command = ["go", "build", *options, "-o", str(target / self.name), self.package]
            _run(self.name, command, {"GOFLAGS": "-mod=readonly"}, cwd=_SOURCES / self.module)
        else:
            _run(self.name, ["go", "install", *options, self.package], {"GOBIN": str(target)}, cwd=target)


_KUBERNETES = ("kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", "go.etcd.io/etcd/server/v3", "etcd"),
        *(Program(name, f"k8s.io/kubernetes/cmd/{name}", "kubernetes") for name in _KUBERNETES),
        Program("pause", ".", "pause"),
        Program("versitygw", "github.com/versity/versitygw/cmd/versitygw@v1.8.0"),
        Program("helm", "helm.sh/helm/v3/cmd/helm@v3.22.0"),
        Program("kwok", "sigs.k8s.io/kwok/cmd/kwok@v0.8.0"),
    )
}
API_SERVER = ("etcd", "kube-apiserver", "kubectl")
CONTROL_PLANE = (*API_SERVER, "kube-controller-manager", "kube-scheduler")
REAL = (*CONTROL_PLANE, "kubelet", "kube-proxy", "pause", "versitygw", "helm")
FAKE = (*CONTROL_PLANE, "kwok")


def folder() -> Path:
    """Where the programs of these versions are kept."""
    return CACHE / _key() / "bin"


def missing(names: tuple[str, ...]) -> list[str]:
    """Those of the programs that are not built yet."""
    return [name for name in names if not (folder() / name).exists()]


def ensure(names: tuple[str, ...]) -> Path:
    """Build what is missing, in this order, and return the folder; builds of several callers share the work.

    Raises:
        Missing: Go is not here, or a build failed.
    """
    for name in names:
        if not (folder() / name).exists():
            with _one_build_at_a_time():
                _build(PROGRAMS[name])
    return folder()


def _build(program: Program) -> None:
    target = folder()
    if (target / program.name).exists():
        return
    if shutil.which("go") is None:
        raise Missing(f"go is not on PATH, and {program.name} is built by it: install Go 1.26 or later")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as partial:
        program.build(Path(partial))
        Path(partial, program.name).rename(target / program.name)


@contextmanager
def _one_build_at_a_time() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(name: str, command: list[str], variables: dict[str, str], cwd: Path) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", **variables}
    print(f"cluster: building {name}", flush=True)
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{name} could not be built by `{' '.join(command)}`: {done.stderr.strip()[-2000:]}")


def _key() -> str:
    """A digest of everything that the programs are built from."""
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(_SOURCES).as_posix().encode() + b"\0" + path.read_bytes())
    for program in PROGRAMS.values():
        digest.update(f"{program}\n".encode())
    return digest.hexdigest()[:16]
