"""Git credentials as Kubernetes keeps them: a mounted Secret with a user and a password, a token, or an SSH key."""

from collections.abc import MutableMapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

TOKEN_USER = "x-access-token"  # noqa: S105 - a user's name that servers take with a token


def with_credentials(url: str, folder: Path, variables: MutableMapping[str, str]) -> str:
    """``url`` with the user and password that ``folder`` holds; for an SSH key, ``variables`` tell git of it.

    Credentials that the URL has itself stay.
    """
    key = folder / "ssh-privatekey"
    if key.is_file():
        known = folder / "known_hosts"
        hosts = f"-o UserKnownHostsFile={known}" if known.is_file() else "-o StrictHostKeyChecking=accept-new"
        variables["GIT_SSH_COMMAND"] = f"ssh -i {key} -o IdentitiesOnly=yes {hosts}"
    parts = urlsplit(url)
    password = _read(folder / "password") or _read(folder / "token")
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or password is None:
        return url
    user = _read(folder / "username") or TOKEN_USER
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"))


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None
