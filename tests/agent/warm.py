"""A process that has imported the SDK once and forks for every conversation; run by the agent's own Python.

Reads requests as JSON lines, and answers each with two lines: the fork's process id, and its exit status.
"""

import json
import os
import sys


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    from isobench.adapters.agents.openhands import child, conversation  # noqa: F401 - what takes its seconds

    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(request)
            child.main()
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def become(request: dict[str, object]) -> None:
    """What the supervisor's exec would have done."""
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        os.dup2(os.open(request[name], flags | os.O_CREAT, 0o600), number)


if __name__ == "__main__":
    main()
