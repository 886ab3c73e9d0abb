"""Where commands print: a terminal at its width, a file or a pipe at one that leaves names and paths whole."""

import os

from rich.console import Console

WIDTH_OF_A_FILE = 160


def console(*, markup: bool = True) -> Console:
    """Standard output, without colours for what only looks like a number or a path; ``markup`` is rich's."""
    made = Console(highlight=False, markup=markup)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH_OF_A_FILE
    return made
