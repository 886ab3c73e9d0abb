"""Fake nodes by KWOK, for measuring what has no real node to wait for: isobench's pods end at once, with a result."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.control_plane import ControlPlane
from cluster.keeper import Program

NODES = 4

# KWOK's own default of 4 pods at a time would be the limit of everything that is measured.
_OPTIONS = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {
        "manageAllNodes": True,
        "podPlayStageParallelism": 64,
        "nodePlayStageParallelism": 16,
        "nodeLeaseDurationSeconds": 40,
        "nodeLeaseParallelism": 4,
    },
}
_RESULT = (
    '{"stage":"{{ $stage }}","attempt":{{ index $labels "isobench.dev/attempt" }},"succeeded":true,'
    '"started_at":"{{ $now }}","finished_at":"{{ $now }}",'
    '{{ if eq $stage "collect" }}"artifacts":{"record_uri":"s3://fake/record.json"},{{ end }}'
    '"facts":{"canary":"reached","isolation":"nothing answered"}}'
)
_ENDED = """{{ $now := Now }}{{ $labels := .metadata.labels }}{{ $stage := index $labels "isobench.dev/stage" }}
phase: Succeeded
startTime: {{ $now | Quote }}
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "False", reason: PodCompleted, lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
      message: 'RESULT'
{{ end }}
""".replace("RESULT", _RESULT)
_READY = """{{ $now := Now }}
conditions:
- {type: Ready, status: "True", reason: Fake, message: plays a kubelet, lastTransitionTime: {{ $now | Quote }},
   lastHeartbeatTime: {{ $now | Quote }}}
phase: Running
"""


@dataclass(frozen=True)
class FakeNodes:
    """KWOK and the nodes that it plays."""

    folder: Path
    plane: ControlPlane

    def program(self) -> Program:
        """KWOK, with what becomes of pods."""
        settings = self.folder / "kwok.yaml"
        settings.write_text("\n---\n".join(map(json.dumps, (_OPTIONS, *_stages()))))
        options = {"kubeconfig": self.plane.kubeconfig, "config": settings}
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return Program("kwok", [str(self.plane.binaries / "kwok"), *arguments])

    @staticmethod
    def nodes() -> list[dict[str, Any]]:
        """The nodes, as large as anything that is put on them."""
        room = {"cpu": "100000", "memory": "1000Ti", "ephemeral-storage": "1000Ti", "pods": "100000"}
        names = [f"fake-{number}" for number in range(NODES)]
        return [
            {
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
                "status": {"allocatable": room, "capacity": room},
            }
            for name in names
        ]


def _stages() -> list[dict[str, Any]]:
    """A node is ready at once; a pod ends at once, and one that is deleted goes at once."""
    exists = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
    there = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    pending = {"key": ".status.phase", "operator": "In", "values": ["Pending"]}
    new = {"key": ".status.phase", "operator": "DoesNotExist"}
    return [
        _stage("Node", "node-is-ready", [new], {"statusTemplate": _READY}),
        _stage("Pod", "pod-ends", [there, pending], {"statusTemplate": _ENDED}),
        _stage("Pod", "pod-goes", [exists], {"finalizers": {"empty": True}, "delete": True}),
    ]


def _stage(kind: str, name: str, when: list[dict[str, Any]], then: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": when},
            "next": then,
        },
    }
