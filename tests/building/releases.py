"""The demo's real releases as pairs: what an agent attempts of a real project, whose human change is known."""

import contextlib
import tomllib
from pathlib import Path

from building.attempts import Pair
from demo import demo


def released(name: str, folder: Path) -> Pair:
    """The pair of this name, fetched and built below ``folder``."""
    entries = tomllib.loads((demo.HERE / "pairs.toml").read_text())["pair"]
    pair = next(demo.Pair(**entry) for entry in entries if entry["name"] == name)
    with contextlib.chdir(folder):
        commit = demo.build(pair)
    assert commit.base is not None
    assert commit.repository is not None
    assert commit.test is not None
    return Pair(
        repository=Path(commit.repository.url),
        base=commit.base,
        head=commit.head,
        repo=f"releases/{name}",
        instance_id=f"releases__{name}-{commit.head[:7]}",
        distribution=pair.package,
        test=commit.test.inline or "",
    )
