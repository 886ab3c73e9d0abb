"""The page that a long kill test writes: how it was made, what was done, what held, and a table of every kill."""

import platform
from collections.abc import Iterable, Iterator, Sequence

Row = Sequence[str]


def page(title: str, command: str, story: Sequence[str], found: Sequence[str], table: Iterable[Row]) -> str:
    """The page's text; ``found`` is what `findings` says, and the first row of ``table`` its headings."""
    made = f"Made by `{command}` on Linux {platform.machine()}, Python {platform.python_version()}."
    lines = [f"# Soak: {title}", "", made, "", *story, "", *found, "", *_lines(table)]
    return "\n".join(lines) + "\n"


def findings(counted: str, held: str, wrong: Sequence[str]) -> Sequence[str]:
    """What was ``counted``, and that it ``held``, or else everything that was wrong."""
    if not wrong:
        return [f"{counted} {held}"]
    return [f"{counted} {len(wrong)} findings:", *(f"- {problem}" for problem in wrong)]


def _lines(table: Iterable[Row]) -> Iterator[str]:
    for number, row in enumerate(table):
        yield f"| {' | '.join(row)} |"
        if number == 0:
            yield f"| {' | '.join('---' for _ in row)} |"
