"""Batch manifests as YAML: what a person reads, `kubectl apply` takes and `isobench run` runs."""

import re
from typing import Any

import yaml

from isobench.contracts.objects import CommitBenchmarkBatch


class _Dumper(yaml.SafeDumper):
    """Quotes what another YAML reader would take for a number: `12e4567` and `0089` are hashes here, numbers there."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    """Scripts stand as they are written, line by line."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[0-9]+(?:[eE][0-9]+)?"), list("0123456789"))


def manifest_text(batch: CommitBenchmarkBatch) -> str:
    """The manifest of ``batch``: what is as by default is left out."""
    shown: dict[str, Any] = {"apiVersion": batch.api_version, "kind": batch.kind}
    shown |= batch.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
