"""`python3 probe.pyz REQUEST`: time arms; `probe.pyz --keep REQUEST`: keep one process. One request, one result."""

from __future__ import annotations

import sys
from typing import List

from .keeper import keep
from .measure import measure
from .request import Request, check_paths, parse_request
from .result import write_result, write_summary
from .shapes import BadRequest

_DONE, _UNUSABLE, _BAD_REQUEST, _NOT_ISOLATED = 0, 1, 2, 3


def main(arguments: List[str]) -> int:
    """Return the exit status: 0 with a result (failed arms included), 2 for a bad request, 3 with a result that says
    that the network was not isolated, 1 without a result because the machine failed.
    """
    if arguments[:1] == ["--keep"]:
        return _keep(arguments[1:])
    try:
        request = _read_request(arguments)
    except BadRequest as error:
        sys.stderr.write("probe: %s\n" % error)
        return _BAD_REQUEST
    try:
        result = measure(request)
        write_result(request.output, result)
        if request.termination is not None:
            write_summary(request.termination, result)
    except OSError as error:
        sys.stderr.write("probe: this machine can't be used for timing (%s): see to that and try again\n" % error)
        return _UNUSABLE
    return _NOT_ISOLATED if result["stop"] == "NetworkNotIsolated" else _DONE


def _keep(arguments: List[str]) -> int:
    try:
        return keep(*arguments)
    except (OSError, TypeError, ValueError) as error:
        sys.stderr.write("probe: the process can't be kept (%s)\n" % error)
        return _UNUSABLE


def _read_request(arguments: List[str]) -> Request:
    if len(arguments) != 1:
        raise BadRequest("give one argument, the request's JSON file, not %d" % len(arguments))
    try:
        with open(arguments[0], encoding="utf-8") as file:
            request = parse_request(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest("the request can't be read (%s): give a JSON file in UTF-8" % error) from None
    check_paths(request)
    return request


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
