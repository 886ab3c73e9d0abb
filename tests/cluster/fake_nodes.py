"""Fake nodes by KWOK: pods are placed on them and end at once, for measuring what has no real node to wait for."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.control_plane import ControlPlane
from cluster.keeper import Program

# KWOK's own default of 4 pods at a time would be the limit of everything that is measured.
_OPTIONS = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {"manageAllNodes": True, "podPlayStageParallelism": 64, "nodePlayStageParallelism": 16},
}


@dataclass(frozen=True)
class FakeNodes:
    """KWOK and the nodes that it plays."""

    folder: Path
    plane: ControlPlane

    def program(self) -> Program:
        """KWOK; stages in `kwok-stages.json` replace its own."""
        settings = self.folder / "kwok.json"
        settings.write_text(json.dumps(_OPTIONS))
        options = {"kubeconfig": self.plane.kubeconfig, "config": settings}
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return Program("kwok", [str(self.plane.binaries / "kwok"), *arguments])
