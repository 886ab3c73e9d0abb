"""The images as they are built: whose they are, who runs in them, what is not in them, and how large they are."""

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.image_build import AGENT, ITEMS
from isobench import __version__

pytestmark = pytest.mark.own_cluster("the archives of images that are built here")

MB = 10**6
MOST = {"operator": 450 * MB, "worker": 800 * MB, "environment": 150 * MB}
"""Unpacked. Most of the worker's is pyarrow, of the operator's botocore; the environment is one for tests."""
COMPILER = re.compile(r"(usr/)?(local/)?bin/([\w.]+-)*(cc|gcc|c\+\+|g\+\+|clang|clang\+\+|tcc)(-[\d.]+)?")
STANDARD = "org.opencontainers.image."
PATIENT = pytest.mark.timeout(1500)
"""Each may be the one that builds the images."""


@dataclass(frozen=True)
class Built:
    """One image: what it says of itself, and all files of its layers."""

    settings: dict[str, Any]
    files: frozenset[str]
    size: int

    @property
    def labels(self) -> dict[str, str]:
        """Those with standard names, without what they have in common."""
        labels = self.settings["Labels"]
        return {name.removeprefix(STANDARD): labels[name] for name in labels if name.startswith(STANDARD)}


def built(archive: Path) -> dict[str, Built]:
    """The images of the archive, by name."""
    found = {}
    with tarfile.open(archive) as tar:
        for image in json.loads(_read(tar, "manifest.json")):
            name = re.fullmatch(r"\S+/isobench-(\w+):dev", image["RepoTags"][0])[1]
            layers = image["Layers"]
            files = frozenset(file for layer in layers for file in _files(tar, layer))
            size = sum(tar.getmember(layer).size for layer in layers)
            found[name] = Built(json.loads(_read(tar, image["Config"]))["config"], files, size)
    return found


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    with tar.extractfile(name) as stream:
        return stream.read()


def _files(tar: tarfile.TarFile, layer: str) -> list[str]:
    with tar.extractfile(layer) as stream, tarfile.open(fileobj=stream) as opened:
        return [entry.name.removeprefix("./") for entry in opened]


@pytest.fixture(scope="module")
def images():
    return built(ITEMS.ensure()) | built(AGENT.ensure())


each = pytest.mark.parametrize("name", [*ITEMS.names, *AGENT.names])


@PATIENT
@each
def test_who_runs_in_an_image_is_a_number_and_not_root(images, name):
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", images[name].settings["User"]), "the kubelet can tell a number from root"


@PATIENT
@each
def test_an_image_says_what_it_is_and_what_it_was_built_from(images, name):
    labels = images[name].labels
    assert labels["title"] == f"isobench-{name}"
    assert labels["version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}", labels["revision"])
    assert labels["licenses"] == "Apache-2.0"
    assert labels["description"]


@PATIENT
@pytest.mark.parametrize("name", ["operator", "worker"])
def test_nothing_compiles_in_our_own_images(images, name):
    files = images[name].files
    assert f"opt/isobench/bin/isobench-{name}" in files, "the names are those of files"
    assert [file for file in files if COMPILER.fullmatch(file)] == []


@PATIENT
@pytest.mark.parametrize("name", list(MOST))
def test_an_image_is_no_larger_than_what_it_needs(images, name):
    assert images[name].size < MOST[name]
