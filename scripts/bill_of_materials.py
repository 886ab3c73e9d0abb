"""Prints a CycloneDX bill of materials of the locked requirements: what an image of isobench is built from."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})")


def components(locked: str) -> Iterator[dict[str, Any]]:
    """Each pinned package of ``locked``, with the digests of the files that it may be installed from."""
    for entry in re.split(r"\n(?=\S)", locked):
        if pinned := PINNED.match(entry):
            name, version = pinned["name"], pinned["version"]
            address = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
            hashes = [{"alg": "SHA-256", "content": digest} for digest in HASH.findall(entry)]
            yield {
                "type": "library",
                "bom-ref": address,
                "name": name,
                "version": version,
                "purl": address,
                "hashes": hashes,
            }


def bill(locked: str, version: str) -> dict[str, Any]:
    """The bill of isobench ``version`` built from ``locked``."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "isobench", "version": version}},
        "components": list(components(locked)),
    }


def main() -> None:
    """Print the bill of the file that is named, by default the run-time requirements."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "requirements" / "runtime.txt"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    json.dump(bill(path.read_text("utf-8"), version), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
