"""A real node: containerd, CNI, kubelet and kube-proxy with the settings that they need in a sandboxed machine."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.control_plane import ControlPlane
from cluster.keeper import Program

PAUSE = "isobench.test/pause:1"
_HERE = Path(__file__).parent
_PLUGINS = Path("/usr/lib/cni")

# Without CAP_SYS_RESOURCE a container's OOM score can't be lowered, and runc fails without saying why.
_CONTAINERD = """\
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni/bin"
    conf_dir = "{folder}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


@dataclass(frozen=True)
class Node:
    """One node, named as its kubelet registers it; its and its pods' addresses, and the cgroup that they are below."""

    name: str
    folder: Path
    plane: ControlPlane
    address: str
    pods: str
    cgroup: str

    @property
    def socket(self) -> Path:
        """containerd's."""
        return self.folder / "containerd.sock"

    def write_files(self) -> None:
        """The settings of all of the node's programs."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "containerd.toml").write_text(_CONTAINERD.format(folder=self.folder, pause=PAUSE))
        (self.folder / "kubelet.json").write_text(json.dumps(self._kubelet(), indent=1))
        (self.folder / "resolv.conf").write_text("")
        programs, settings = self.folder / "cni" / "bin", self.folder / "cni" / "net.d"
        programs.mkdir(parents=True, exist_ok=True)
        settings.mkdir(exist_ok=True)
        for plugin in _PLUGINS.iterdir():
            shutil.copy2(plugin, programs / plugin.name)
        script = (_HERE / "cni_policy.py").read_text()
        (programs / "isobench-policy").write_text(f"#!{sys.executable} -ISs\n{script}")
        (programs / "isobench-policy").chmod(0o755)
        (settings / "10-isobench.conflist").write_text(json.dumps(self._network(), indent=1))

    def containerd(self) -> Program:
        """The container runtime."""
        return Program("containerd", ["containerd", f"--config={self.folder / 'containerd.toml'}"])

    def kubelet(self) -> Program:
        """The kubelet."""
        options = {
            "config": self.folder / "kubelet.json",
            "kubeconfig": self.plane.folder / "kubeconfigs" / self.name,
            "root-dir": self.folder / "kubelet",
            "hostname-override": self.name,
            "node-ip": self.address,
            "cert-dir": self.folder / "kubelet-pki",
        }
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return Program("kubelet", [str(self.plane.binaries / "kubelet"), *arguments])

    def proxy(self) -> Program:
        """What makes the addresses of services work."""
        options = {
            "kubeconfig": self.plane.folder / "kubeconfigs" / "proxy",
            "hostname-override": self.name,
            "proxy-mode": "iptables",
            "cluster-cidr": self.pods,
            "conntrack-max-per-core": 0,
            "conntrack-tcp-timeout-established": 0,
            "conntrack-tcp-timeout-close-wait": 0,
        }
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return Program("kube-proxy", [str(self.plane.binaries / "kube-proxy"), *arguments])

    def _network(self) -> dict[str, Any]:
        """One bridge, and a last step that tells the policy agent of the pod before any of its programs starts."""
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": self.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(self.folder / "cni" / "addresses"),
        }
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
        policy = {"type": "isobench-policy", "socket": str(self.plane.folder / "policy.sock")}
        return {"cniVersion": "0.4.0", "name": "isobench", "plugins": [bridge, policy]}

    def _kubelet(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(self.plane.folder / "certificates" / "ca.crt")},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "clusterDNS": [self.plane.address],
            "clusterDomain": "cluster.local",
            "resolvConf": str(self.folder / "resolv.conf"),
            "failSwapOn": False,
            "failCgroupV1": False,
            "enforceNodeAllocatable": [],
            "evictionHard": {f"{kind}.available": "1%" for kind in ("memory", "nodefs", "imagefs")},
            "imageGCHighThresholdPercent": 100,
            "podLogsDir": str(self.folder / "pod-logs"),
            "volumePluginDir": str(self.folder / "volume-plugins"),
            "oomScoreAdj": 0,
            "syncFrequency": "10s",
            "maxPods": 110,
        }
