"""`runner.pyz --serve SOCKET` in the container, `--run SOCKET TOKEN [--own-variables] -- COMMAND...` outside of it."""

from __future__ import annotations

import sys
from typing import List

from . import server, standin

_USAGE = "usage: runner.pyz --serve SOCKET | --run SOCKET TOKEN [--own-variables] -- COMMAND...\n"
_BAD_USAGE = 2


def main(arguments: List[str]) -> int:
    """Serve for ever, or run one command and return its exit status."""
    if len(arguments) == 2 and arguments[0] == "--serve":
        server.serve(arguments[1])
    if len(arguments) > 4 and arguments[0] == "--run":
        _, path, token, *rest = arguments
        own = rest[0] == "--own-variables"
        if rest[own] == "--":
            return standin.run(path, token, rest[own + 1 :], own_variables=own)
    sys.stderr.write(_USAGE)
    return _BAD_USAGE
