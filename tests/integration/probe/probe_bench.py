"""A place to run the real probe in: its archive, a folder per arm, and the namespaces that it is started in."""

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 2**20
OLDEST_PYTHON = (3, 8)
NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"),
    *("--mount", "--mount-proc", "--ipc", "--"),
)
PRIVATE_SHARED_MEMORY = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
# What a pod without privileges has: the probe may make no mount of its own there.
WITHOUT_MOUNTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
LIMITS = {
    "warmup": 1,
    "min_pairs": 8,
    "max_pairs": 8,
    "precision": 0.01,
    "margin": 0.02,
    "item_seconds": 120,
    "run_seconds": 20,
    "memory_bytes": 512 * MIB,
    "processes": 64,
    "output_bytes": MIB,
    "scratch_bytes": 32 * MIB,
}
SOUND = """
import json, time
started = time.perf_counter()
sum(range(20000))
print(json.dumps({"avg_ms": (time.perf_counter() - started) * 1000}))
"""


@dataclass(frozen=True)
class Ending:
    """What is left when the probe has ended."""

    exit_code: int
    events: list[dict[str, Any]]
    stderr: str
    result: dict[str, Any] | None

    def arm(self, name: str = "base") -> dict[str, Any]:
        assert self.result is not None, self.stderr
        arm: dict[str, Any] = self.result["arms"][name]
        return arm

    @property
    def samples(self) -> list[dict[str, Any]]:
        assert self.result is not None, self.stderr
        samples: list[dict[str, Any]] = self.result["samples"]
        return samples


@dataclass(frozen=True)
class Bench:
    """Builds requests below ``root`` and runs the archive on them; ``user`` starts it as somebody else."""

    root: Path
    archive: Path
    python: str
    user: int | None = None
    launcher: tuple[str, ...] = (*NAMESPACES, "sh", "-c", PRIVATE_SHARED_MEMORY, "sh")

    def path(self, *parts: str) -> Path:
        return self.root.joinpath(*parts)

    def request(self, scripts: Mapping[str, str], **changes: Any) -> dict[str, Any]:
        """A request for arms with these ``scripts``; one run each unless ``changes`` ask for blocks."""
        for folder in ("scratch", "output"):
            self.path(folder).mkdir(exist_ok=True)
        limits = LIMITS | changes.pop("limits", {})
        plain = {
            "version": 1,
            "seed": 20,
            "protocol": "single",
            "arms": [self._arm(name, script) for name, script in scripts.items()],
            "primary": [],
            "limits": limits,
            "cores": [max(os.sched_getaffinity(0))],
            "sockets": "none",
            "network": "none",
            "unreachable": [],
            "scratch": str(self.path("scratch")),
            "output": str(self.path("output")),
            "termination": None,
        }
        return plain | changes

    def run(self, request: Mapping[str, Any], before: Iterable[str] = ()) -> Ending:
        """Run the probe, started by the command ``before`` inside its namespaces."""
        self.path("request.json").write_text(json.dumps(request))
        self._give_to_user()
        command = [*self.launcher, *before, self.python, "-I", str(self.archive), str(self.path("request.json"))]
        done = subprocess.run(self._as_user(command), capture_output=True, text=True, timeout=120, check=False)
        result = self.path("output", "result.json")
        return Ending(
            done.returncode,
            [json.loads(line) for line in done.stdout.splitlines()],
            done.stderr,
            json.loads(result.read_text()) if result.exists() else None,
        )

    def time(self, script: str, **changes: Any) -> Ending:
        """Run one arm, base, once."""
        return self.run(self.request({"base": script}, **changes))

    def _arm(self, name: str, script: str) -> dict[str, Any]:
        tree = self.path("arms", name)
        tree.mkdir(parents=True, exist_ok=True)
        tree.joinpath("module.py").write_text(f"NAME = {name!r}\n")
        test = self.path(f"test_{name}.py")
        test.write_text(textwrap.dedent(script))
        return {
            "name": name,
            "tree": str(tree),
            "python": self.python,
            "script": str(test),
            "readable": [],
            "environment": {"PYTHONPATH": str(tree)},
        }

    def _give_to_user(self) -> None:
        if self.user is not None:
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, self.user, self.user)

    def _as_user(self, command: list[str]) -> list[str]:
        return command if self.user is None else [*identity(self.user), *command]


def identity(user: int) -> tuple[str, ...]:
    """How root starts a command as an ordinary ``user`` without any privilege."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")


def runs(command: Iterable[str]) -> bool:
    """Whether ``command`` works here."""
    try:
        return subprocess.run(list(command), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def interpreters() -> list[str]:
    """The CPython interpreters of this machine, at least as old as the probe promises: on PATH and among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "/nowhere"))
    found = [shutil.which("python3", path=os.defpath), *(shutil.which(f"python3.{minor}") for minor in range(8, 15))]
    found += [str(path) for path in sorted(pyenv.glob("versions/*/bin/python3"))]
    return [path for path in dict.fromkeys(filter(None, found)) if version_of(path) >= OLDEST_PYTHON]


def version_of(python: str) -> tuple[int, ...]:
    """Major and minor version; () when it does not run (pyenv's shims of versions that are not chosen)."""
    asked = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split()))
