"""The bill of materials names every locked package once, with its digests."""

import re
from pathlib import Path

import pytest

from bill_of_materials import bill

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_every_locked_package_is_in_it_with_its_digests(name):
    locked = (REQUIREMENTS / name).read_text(encoding="utf-8")
    made = bill(locked, "1.2.3")
    assert made["metadata"]["component"]["version"] == "1.2.3"
    assert [part["name"] for part in made["components"]] == re.findall(
        r"^([\w.-]+)(?:\[.*?\])?==", locked, re.MULTILINE
    )
    assert sum(len(part["hashes"]) for part in made["components"]) == locked.count("--hash=sha256:")
    assert all(part["hashes"] for part in made["components"])


def test_a_package_is_known_by_its_address():
    (part,) = bill("Ruamel_Yaml[x]==0.18 ; python_version < '4' \\\n    --hash=sha256:" + "a" * 64 + "\n", "1")[
        "components"
    ]
    assert part["purl"] == "pkg:pypi/ruamel-yaml@0.18"
    assert part["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
