"""Images on the cluster's node: made of files, loaded from archives, listed."""

import io
import json
import subprocess
import tarfile
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cluster.node import PAUSE


@dataclass(frozen=True)
class Images:
    """The images that the kubelet of one containerd sees."""

    socket: Path

    def load(self, archive: Path) -> None:
        """Import every image of a docker or OCI archive under the names in it."""
        self._ctr("images", "import", str(archive))

    def names(self) -> list[str]:
        """The names of all images."""
        return [name for name in self._ctr("images", "list", "--quiet").split() if not name.startswith("sha256:")]

    def pause(self, program: Path, folder: Path) -> Path:
        """An archive of the image that holds a pod's namespaces."""
        archive = folder / "pause.tar"
        _write_archive(archive, PAUSE, program)
        return archive

    def wait(self, seconds: float = 30.0) -> None:
        """Wait until containerd answers."""
        deadline = time.monotonic() + seconds
        while subprocess.run(self._command("version"), capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"containerd does not answer at {self.socket} after {seconds:.0f} s")
            time.sleep(0.1)

    def _ctr(self, *arguments: str) -> str:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ctr {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        return ["ctr", f"--address={self.socket}", "--namespace=k8s.io", *arguments]


def _write_archive(archive: Path, name: str, program: Path) -> None:
    """A docker archive of an image with one static program."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo("pause")
        entry.mode, entry.size = 0o755, program.stat().st_size
        with program.open("rb") as content:
            tar.addfile(entry, content)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer.getvalue()).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    files = {"config.json": config, "layer.tar": layer.getvalue(), "manifest.json": manifest}
    with tarfile.open(archive, "w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
