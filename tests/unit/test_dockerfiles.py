"""How the images are made: packages by their hashes, a user without rights, labels that say which isobench it is."""

import re
from pathlib import Path

import pytest

from isobench import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILES = [ROOT / "Dockerfile", *sorted((ROOT / "images").glob("*/Dockerfile"))]
STANDARD = "org.opencontainers.image."
LABELS = {"title", "description", "licenses", "version", "revision"}

each = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))


def instructions(path):
    """Each on one line."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line]


def images(path):
    """What is built last, and every part that has an entry point: the instructions of each."""
    parts = re.split(r"^(?=FROM )", "\n".join(instructions(path)), flags=re.MULTILINE)
    return [part for part in parts if "ENTRYPOINT" in part or part is parts[-1]]


@each
def test_python_packages_are_pinned_by_hash_but_isobench_itself(path):
    commands = [found for line in instructions(path) for found in re.findall(r"pip install[^&]*", line)]
    for command in commands:
        assert "--require-hashes" in command or "--no-deps /wheel/" in command, command


@each
def test_an_image_runs_as_a_numbered_user_that_is_not_root(path):
    for image in images(path):
        assert re.findall(r"^USER (.+)", image, re.MULTILINE)[-1] == "10001:10001"


@each
def test_an_image_says_which_version_and_revision_of_isobench_it_is(path):
    for image in images(path):
        assert f"ARG VERSION={__version__}\n" in image
        label = next(line for line in image.splitlines() if line.startswith("LABEL "))
        assert {name.removeprefix(STANDARD) for name in re.findall(r"([\w.]+)=", label)} == LABELS
