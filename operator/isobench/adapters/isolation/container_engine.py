"""The container engine, podman or docker: the first that works for this user on this machine, found by running it.

podman keeps layers, state and locks in a folder of the work root; images that the person has pulled are read where they
are. It takes short paths only and leaves mounts behind, so it runs in a mount namespace of its own, where that folder
is at `_STATE`. A container would outlive its client, so every one is given its client's standard input and ends with
it: nothing is ever written there, and it closes when the client dies, however that happens.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.files import write_text

ANSWER_SECONDS = 60.0
REMEDY = "install podman and runc (or crun), or start docker and let this user reach it"

# A pipe that this process reads and writes never closes and never holds anything.
_OPEN_INPUT = 'exec "$@" <>"$0"'
_OPTIONS = (
    *("--rm", "--interactive", "--pull=never", "--entrypoint=", "--no-healthcheck", "--log-driver=none"),
    *("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--security-opt=label=disable"),
)
_SETTINGS = """\
[containers]
http_proxy = false
[engine]
events_logger = "none"
"""
_STATE = Path("/dev/shm")
_AT_STATE = f'mount --bind "$0" {_STATE} && exec "$@"'
# The runtime's own state would go to /run, and no setting of podman's reaches the cleaning up after a killed client.
_RUNTIME = """\
#!/bin/sh
exec {program} --root={state}/runtime "$@"
"""
# Without the right to raise limits: crun fails on the ones that podman asks for, runc takes lower ones.
_MODEST = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@dataclass(frozen=True)
class Image:
    """An image that is here."""

    name: str
    identity: str
    """What this engine calls these bytes: a tag may be given to others."""
    digest: str
    """What a registry calls them; the identity where no registry has seen them."""
    path: str
    """PATH as the image sets it."""


@dataclass(frozen=True)
class Engine:
    """A container engine with all that it has to be told on this machine."""

    name: str
    client: tuple[str, ...]
    variables: Mapping[str, str]
    """The client's environment variables, where they must not be those of a command that it runs."""
    options: tuple[str, ...]
    input: Path

    def run(self, image: str, command: Sequence[str], options: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` in a new container of ``image``, as its first process."""
        start = [*self.command("run"), *_OPTIONS, *self.options, *options, image, *command]
        return ["sh", "-c", _OPEN_INPUT, str(self.input), *start]

    def image(self, name: str) -> Image | None:
        """The image of that name or identity, if it is here."""
        answer = _answer(self.command("image", "inspect", name))
        if answer is None:
            return None
        facts = json.loads(answer)[0]
        identity = f"sha256:{facts['Id'].removeprefix('sha256:')}"
        variables = dict(line.split("=", 1) for line in facts["Config"].get("Env") or ())
        digests = [digest.rpartition("@")[2] for digest in facts.get("RepoDigests") or ()]
        return Image(name, identity, (digests or [identity])[0], variables.get("PATH", os.defpath))

    def command(self, *arguments: str) -> list[str]:
        """The command line that gives the client these arguments."""
        return ["env", *(f"{key}={value}" for key, value in self.variables.items()), *self.client, *arguments]


def find_engine(folder: Path) -> Engine | None:
    """The engine that works here; what podman keeps goes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    no_input = folder / "no-input"
    if not no_input.exists():
        os.mkfifo(no_input)
    return next(_working(folder, no_input), None)


def _working(folder: Path, no_input: Path) -> Iterator[Engine]:
    ways: Sequence[tuple[str, tuple[str, ...]]] = (("crun", ()), ("runc", ()), ("runc", _MODEST))
    for runtime, options in ways:
        if shutil.which("podman") and (program := shutil.which(runtime)):
            _write_settings(folder, runtime, program)
            engine = _podman(folder, no_input, runtime, options)
            if _runs(engine, folder / "trial"):
                yield engine
    if shutil.which("docker") and _answer(["docker", "version", "--format={{.Server.Version}}"]):
        user = (f"--user={os.getuid()}:{os.getgid()}", "--tmpfs=/tmp")
        yield Engine("docker", ("docker",), _variables("PATH", "HOME"), user, no_input)


def _write_settings(folder: Path, runtime: str, program: str) -> None:
    write_text(folder / "containers.conf", _SETTINGS)
    write_text(folder / "bin" / runtime, _RUNTIME.format(program=program, state=_STATE))
    (folder / "bin" / runtime).chmod(0o755)
    for place in ("tmp", "home"):
        (folder / place).mkdir(mode=0o700, exist_ok=True)


def _podman(folder: Path, no_input: Path, runtime: str, options: tuple[str, ...]) -> Engine:
    client = (
        *(("podman", "unshare") if os.getuid() else ()),
        *("unshare", "--mount", "sh", "-c", _AT_STATE, str(folder)),
        "podman",
        f"--root={_STATE}/storage",
        f"--runroot={_STATE}/run",
        f"--tmpdir={_STATE}/state",
        f"--network-config-dir={_STATE}/networks",
        f"--runtime={_STATE}/bin/{runtime}",
        "--cgroup-manager=cgroupfs",
        "--storage-driver=overlay",
        *(f"--storage-opt=overlay.imagestore={store}" for store in _stores() if (store / "overlay-images").is_dir()),
    )
    homes = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
    variables = {
        **_variables("PATH"),
        **{name: str(folder / "home") for name in homes},
        "TMPDIR": str(folder / "tmp"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
    }
    # Root in there is the person out here; what the image says of users does not matter.
    return Engine("podman", client, variables, ("--user=0:0", *options), no_input)


def _stores() -> Iterator[Path]:
    """Where the person's own podman keeps images."""
    if os.getuid() == 0:
        yield Path("/var/lib/containers/storage")
    else:
        data = os.environ.get("XDG_DATA_HOME") or Path(os.environ.get("HOME", "/"), ".local", "share")
        yield Path(data, "containers", "storage")


def _runs(engine: Engine, root: Path) -> bool:
    """Whether it runs a program of this machine, in a file tree that holds nothing else: no image is needed."""
    root.mkdir(exist_ok=True)
    places = [place for place in ("/bin", "/lib", "/lib64", "/usr") if Path(place).is_dir()]
    volumes = [f"--volume={place}:{place}:ro" for place in places]
    return _answer(engine.run(str(root), ["true"], ["--network=none", *volumes, "--rootfs"])) is not None


def _answer(command: Sequence[str]) -> str | None:
    """What a command prints; None where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _variables(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}
