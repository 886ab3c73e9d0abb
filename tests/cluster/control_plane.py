"""The control plane's programs with their settings: etcd, kube-apiserver, kube-controller-manager, kube-scheduler."""

import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cluster import certificates
from cluster.keeper import Keeper, Program

SERVICES = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
_NAMES = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
}


class NotReady(Exception):
    """A program of the cluster does not answer; says what it has printed."""


@dataclass(frozen=True)
class ControlPlane:
    """One API server with its store: where its files are, where it listens, and who may call it."""

    folder: Path
    binaries: Path
    address: str
    port: int
    etcd_ports: tuple[int, int] = (2379, 2380)
    nodes: tuple[str, ...] = ()
    audited: str | None = None
    """The group whose requests are written down."""

    @property
    def audit_log(self) -> Path:
        """One request a line, once the API server has answered it."""
        return self.folder / "audit.log"

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://{self.address}:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfigs" / "admin"

    def write_files(self) -> None:
        """Certificates, tokens and a kubeconfig per identity; what is there already stays as it is."""
        if not (self.folder / "tokens.csv").exists():
            certificates.make(self.folder / "certificates", [self.address, "127.0.0.1", KUBERNETES_SERVICE])
            (self.folder / "kubeconfigs").mkdir(exist_ok=True)
            nodes = {node: (f"system:node:{node}", "system:nodes") for node in self.nodes}
            rows = [(name, secrets.token_hex(16), *who) for name, who in (_NAMES | nodes).items()]
            for name, token, _, _ in rows:
                self._write_kubeconfig(name, token)
            lines = [f'{token},{user},{user},"{group}"' for _, token, user, group in rows]
            (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")

    @property
    def token(self) -> str:
        """The administrator's."""
        config = json.loads(self.kubeconfig.read_text())
        return str(config["users"][0]["user"]["token"])

    def etcd(self) -> Program:
        """The store; without fsync, since it never outlives a power cut."""
        client, peer = (f"http://127.0.0.1:{port}" for port in self.etcd_ports)
        options = {
            "name": "etcd",
            "data-dir": self.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"etcd={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }
        return Program("etcd", self._command("etcd", options))

    def api_server(self) -> Program:
        """The API server: tokens from a file, Node and RBAC authorisation, Pod Security as everywhere."""
        made = self.folder / "certificates"
        loopback = self.address.startswith("127.")
        options = {
            "etcd-servers": f"http://127.0.0.1:{self.etcd_ports[0]}",
            "secure-port": self.port,
            "bind-address": self.address if loopback else "0.0.0.0",
            "advertise-address": self.address,
            "endpoint-reconciler-type": "none" if loopback else "lease",
            "tls-cert-file": made / "server.crt",
            "tls-private-key-file": made / "server.key",
            "client-ca-file": made / "ca.crt",
            "kubelet-client-certificate": made / "client.crt",
            "kubelet-client-key": made / "client.key",
            "kubelet-preferred-address-types": "InternalIP",
            "token-auth-file": self.folder / "tokens.csv",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": made / "tokens.pub",
            "service-account-signing-key-file": made / "tokens.key",
            "service-cluster-ip-range": SERVICES,
            "allow-privileged": "true",
            "shutdown-delay-duration": "0s",
        }
        return Program("kube-apiserver", self._command("kube-apiserver", options | self._auditing()))

    def _auditing(self) -> dict[str, object]:
        if self.audited is None:
            return {}
        rules = [{"level": "Metadata", "userGroups": [self.audited]}, {"level": "None"}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
        place = self.folder / "audit-policy.json"
        place.write_text(json.dumps(policy))
        return {"audit-policy-file": place, "audit-log-path": self.audit_log}

    def controller_manager(self, requests_a_second: int = 20, ended_pods: int = 12_500) -> Program:
        """The controllers of Jobs, claims, namespaces and the rest.

        20 requests a second is their default limit, and of pods that have ended they keep 12,500 by default.
        """
        made = self.folder / "certificates"
        options = {
            **self._credentials("controller-manager"),
            "use-service-account-credentials": "true",
            "service-account-private-key-file": made / "tokens.key",
            "root-ca-file": made / "ca.crt",
            "leader-elect": "false",
            "kube-api-qps": requests_a_second,
            "kube-api-burst": requests_a_second * 3 // 2,
            "terminated-pod-gc-threshold": ended_pods,
        }
        return Program("kube-controller-manager", self._command("kube-controller-manager", options))

    def scheduler(self, requests_a_second: int = 50) -> Program:
        """The scheduler."""
        options = {
            **self._credentials("scheduler"),
            "leader-elect": "false",
            "kube-api-qps": requests_a_second,
            "kube-api-burst": requests_a_second * 2,
        }
        return Program("kube-scheduler", self._command("kube-scheduler", options))

    def wait(self, keeper: Keeper, seconds: float = 60.0) -> None:
        """Wait until the API server answers that it is ready."""
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token}"})
        context = ssl.create_default_context(cafile=str(self.folder / "certificates" / "ca.crt"))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and {"etcd", "kube-apiserver"} <= set(keeper.running()):
            try:
                with urllib.request.urlopen(request, context=context, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        said = "\n".join(f"{name}: {keeper.log(name)}" for name in ("etcd", "kube-apiserver"))
        raise NotReady(f"{self.url} did not become ready within {seconds:.0f} s\n{said}")

    def _credentials(self, name: str) -> dict[str, object]:
        config = self.folder / "kubeconfigs" / name
        return {"kubeconfig": config, "authentication-kubeconfig": config, "authorization-kubeconfig": config}

    def _command(self, name: str, options: dict[str, object]) -> list[str]:
        return [str(self.binaries / name), *(f"--{key}={value}" for key, value in options.items())]

    def _write_kubeconfig(self, name: str, token: str) -> None:
        authority = str(self.folder / "certificates" / "ca.crt")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "isobench", "cluster": {"server": self.url, "certificate-authority": authority}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "isobench", "context": {"cluster": "isobench", "user": name}}],
            "current-context": "isobench",
        }
        target = self.folder / "kubeconfigs" / name
        target.write_text(json.dumps(config, indent=1) + "\n")
        target.chmod(0o600)
