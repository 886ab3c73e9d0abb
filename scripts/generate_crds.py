"""Writes crds/ from the contracts: `make crds`."""

from pathlib import Path

import yaml

from isobench.engine.crd import KINDS, Kind, custom_resource_definition

CRDS = Path(__file__).parents[1] / "crds"
HEADER = "# Generated from the contracts by `make crds`; a test fails when this file is not what they say.\n"


class _WithoutAnchors(yaml.SafeDumper):
    """Writes everything in full: a reader of YAML anchors is not a given."""

    def ignore_aliases(self, _data: object) -> bool:
        """Never refer back."""
        return True


def definition_text(kind: Kind) -> str:
    """The content of the file of ``kind``."""
    definition = custom_resource_definition(kind)
    return HEADER + yaml.dump(definition, Dumper=_WithoutAnchors, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Write one file a kind."""
    CRDS.mkdir(exist_ok=True)
    for kind in KINDS:
        path = CRDS / f"{kind.plural}.yaml"
        path.write_text(definition_text(kind), encoding="utf-8")
        print(path.relative_to(CRDS.parent))


if __name__ == "__main__":
    main()
