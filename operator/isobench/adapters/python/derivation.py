"""An environment made from one that was built before: a copy, in which the files that differ are the arm's own."""

import base64
import csv
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from isobench.adapters.commands import run_command
from isobench.adapters.files import read_json, write_json, write_text
from isobench.adapters.made_once import MARKER
from isobench.adapters.python.api_snapshot import MEMORY
from isobench.adapters.python.build_commands import BuildCommands
from isobench.engine.derivation import File, Origin, Reads, changed_copies, origin_of

ORIGIN = "origin.json"
"""What decided an environment, beside it."""

_COPY = 'cp -R --reflink=auto --preserve=mode,timestamps,links "$1" "$2"'


def scan(tree: Path) -> dict[str, File]:
    """Every file and link of ``tree`` by its name, with its mode and a digest."""
    files = {}
    for folder, folders, names in os.walk(tree):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*names, *links]:
            path = Path(folder, name)
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            files[str(path.relative_to(tree))] = (path.lstat().st_mode, hashlib.sha256(content).hexdigest())
    return files


def read_origin(tree: Path, wheel: Path) -> Origin:
    """The origin of ``wheel``, built of ``tree``, by what its backend left beside it."""
    told = read_json(wheel.with_name("reads.json"))
    reads = Reads(told["opened"], frozenset(told["compiled"]), told["started"])
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not _is_metadata(name)]
        members = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}
    return origin_of(scan(tree), members, reads)


def _is_metadata(member: str) -> bool:
    return member.endswith("/") or member.partition("/")[0].endswith((".dist-info", ".data"))


@dataclass(frozen=True)
class Lineage:
    """The environments in ``folder`` that only their trees tell apart; the newest one is the next one's donor."""

    folder: Path
    name: str

    @property
    def _newest(self) -> Path:
        return self.folder / f"{self.name}.newest"

    def keep(self, environment: Path, origin: Origin) -> None:
        """Let ``environment`` be the next donor."""
        kept = {"files": origin.files, "copied": origin.copied, "decisive": sorted(origin.decisive)}
        write_json(environment / ORIGIN, kept)
        write_text(self._newest, environment.name)

    def donor(self) -> tuple[Path, Origin] | None:
        """The newest environment that is finished, and its origin."""
        if not self._newest.is_file():
            return None
        environment = self.folder / self._newest.read_text(encoding="utf-8")
        if not (environment / MARKER).is_file():
            return None
        kept = read_json(environment / ORIGIN)
        files = {path: (mode, digest) for path, (mode, digest) in kept["files"].items()}
        return environment, Origin(files, kept["copied"], frozenset(kept["decisive"]))


@dataclass(frozen=True)
class Derivation:
    """What is to be done: copy ``donor``, then take the ``changed`` files from ``tree``."""

    donor: Path
    tree: Path
    origin: Origin
    """That of the environment to be made."""
    changed: Sequence[str]

    def make(self, folder: Path, commands: BuildCommands) -> None:
        """Make ``folder``'s environment; its path and the donor's are of one length."""
        copy = ["sh", "-c", _COPY, "copy", str(self.donor / "venv"), str(folder / "venv")]
        replace(commands, run_command=run_command).run(copy, folder)
        if (self.donor / MEMORY).is_file():
            shutil.copy(self.donor / MEMORY, folder)
        packages = next((folder / "venv" / "lib").glob("python3*/site-packages"))
        _retarget(self.donor, folder, packages)
        members = [self.origin.copied[path] for path in self.changed]
        for path, member in zip(self.changed, members, strict=True):
            _replace(packages / member, (self.tree / path).read_bytes())
        _record(packages, members)
        sources = [str(packages / member) for member in members if member.endswith(".py")]
        if sources:  # what can't be compiled can't be imported either
            commands.attempt([str(folder / "venv" / "bin" / "python"), "-m", "compileall", "-q", *sources], folder)


def find_derivation(lineage: Lineage, tree: Path) -> Derivation | None:
    """How the environment of ``tree`` follows from one of its lineage; None when it has to be built."""
    found = lineage.donor()
    if found is None:
        return None
    donor, origin = found
    files = scan(tree)
    changed = changed_copies(origin, files)
    if changed is None:
        return None
    return Derivation(donor, tree, Origin(files, origin.copied, origin.decisive), changed)


def _retarget(donor: Path, folder: Path, packages: Path) -> None:
    """Let everything that names the donor's path (scripts, configuration, metadata) name this folder."""
    venv = folder / "venv"
    places = [venv / "pyvenv.cfg", *(venv / "bin").iterdir(), *packages.glob("*.pth"), *packages.glob("*.dist-info/*")]
    for path in places:
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if os.fsencode(donor) in content:
                path.write_bytes(content.replace(os.fsencode(donor), os.fsencode(folder)))


def _replace(installed: Path, content: bytes) -> None:
    for stale in (installed.parent / "__pycache__").glob(f"{installed.stem}.*.pyc"):
        stale.unlink()
    installed.write_bytes(content)


def _record(packages: Path, members: Sequence[str]) -> None:
    """Bring digests and sizes of ``members`` in their distribution's RECORD up to date."""
    rows_of: Mapping[Path, list[list[str]]] = {
        record: list(csv.reader(io.StringIO(record.read_text(encoding="utf-8"))))
        for record in packages.glob("*.dist-info/RECORD")
    }
    for record, rows in rows_of.items():
        mine = [row for row in rows if row and row[0] in members]
        for row in mine:
            content = (packages / row[0]).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            row[1:] = [f"sha256={digest}", str(len(content))]
        if mine:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(rows)
            record.write_text(text.getvalue(), encoding="utf-8")
