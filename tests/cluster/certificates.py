"""A certificate authority of the cluster's own, and what it signs, by openssl."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650")


def make(folder: Path, addresses: Sequence[str]) -> None:
    """Write ca, server (for the addresses), client (the API server's own, for kubelets) and the tokens' key pair."""
    folder.mkdir(parents=True, exist_ok=True)
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(folder, "req", "-x509", *_KEY, "-subj", "/CN=isobench", *usage, "-keyout", "ca.key", "-out", "ca.crt")
    names = ["DNS:localhost", *(f"DNS:kubernetes{suffix}" for suffix in ("", ".default", ".default.svc"))]
    _sign(folder, "server", "/CN=kube-apiserver", [*names, *(f"IP:{address}" for address in addresses)])
    _sign(folder, "client", "/O=system:masters/CN=kube-apiserver", ["DNS:kube-apiserver"])
    _openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "tokens.key")
    _openssl(folder, "ec", "-in", "tokens.key", "-pubout", "-out", "tokens.pub")


def _sign(folder: Path, name: str, subject: str, alternatives: Sequence[str]) -> None:
    extension = f"subjectAltName={','.join(alternatives)}"
    authority = ("-CA", "ca.crt", "-CAkey", "ca.key")
    _openssl(
        folder,
        *("req", "-x509", *_KEY, "-subj", subject, *authority, "-addext", extension),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
    )


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
