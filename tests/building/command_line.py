"""The command line as a person uses it, in this process: arguments in; exit code, output and messages back."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from isobench.cli import answer, isobench


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands in one folder, with no configuration and no variables but those that a test gives."""

    def __init__(self, folder: Path, monkeypatch, capsys) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in [name for name in os.environ if name.startswith(("ISOBENCH", "ISO_BENCH", "HF_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("TMPDIR", str(folder))  # a command redirects it; this puts it back
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.chdir(folder)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def variables(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, *arguments: object, command=isobench) -> Answer:
        self._capsys.readouterr()
        code = answer(partial(command, [str(argument) for argument in arguments]))
        said = self._capsys.readouterr()
        return Answer(code, said.out, said.err)
