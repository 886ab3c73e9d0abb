"""Efficiency test of rich 0b3379f5: styling ranges of a code listing through the interface it adds."""

import hashlib
import io
import json
import time

from rich.console import Console
from rich.style import Style
from rich.syntax import Syntax

ITERATIONS = 2
CODE = "\n".join(f"value_{i} = compute({i}, {i + 1})" for i in range(150))


def workload():
    syntax = Syntax(CODE, "python", theme="ansi_dark")
    for line in range(1, 150):
        syntax.stylize_range(Style(bold=True), (line, 0), (line, 5))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(syntax)
    return console.file.getvalue()


def main():
    workload()
    results, elapsed = [], 0.0
    for _ in range(ITERATIONS):
        started = time.perf_counter()
        result = workload()
        elapsed += time.perf_counter() - started
        results.append(hashlib.sha256(repr(result).encode()).hexdigest())
    digest = hashlib.sha256("".join(results).encode()).hexdigest()
    avg_ms = round(elapsed * 1000 / ITERATIONS, 6)
    print(json.dumps({"avg_ms": avg_ms, "iterations": ITERATIONS, "result_sha256": digest}))


if __name__ == "__main__":
    main()
