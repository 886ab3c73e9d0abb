"""Where a repository comes from: a path on this machine, read with isobench's git, or a URL, with the user's."""

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit, urlunsplit

from isobench.adapters.commands import SUPERVISED
from isobench.adapters.git.command import CONFIGURATION, Git, RepositoryError, local_environment, without_credentials
from isobench.contracts.reasons import Reason

REMOTE_PROTOCOLS = ("https", "http", "ssh", "git")

_TRANSFER_TIMEOUT_SECONDS = 3600.0

# What the user's own git needs to reach a server: certificates, proxies, agents, helpers and their settings.
_OF_THE_USER = (
    *("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "GIT_CONFIG_GLOBAL", "GIT_SSH_COMMAND", "GIT_SSH"),
    *("SSH_AUTH_SOCK", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR", "DBUS_SESSION_BUS_ADDRESS", "USER"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)

# Credentials of a URL go by this helper, so that they stand in no argument list and in no file.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$ISOBENCH_GIT_USERNAME" "$ISOBENCH_GIT_PASSWORD"; }; f'
)
# A user's partial clone must not fill itself up because somebody reads it.
_QUIET_UPLOAD_PACK = "GIT_ALLOW_PROTOCOL=none git-upload-pack"


@dataclass(frozen=True)
class Source:
    """One repository's address, credentials apart."""

    url: str
    path: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    protocols: tuple[str, ...] = (*REMOTE_PROTOCOLS, "file")

    @classmethod
    def parse(cls, url: str, protocols: tuple[str, ...] = (*REMOTE_PROTOCOLS, "file")) -> Self:
        """Read a clone URL or a path as git would."""
        scheme, separator, rest = url.partition("://")
        if separator and scheme != "file":
            parts = urlsplit(url)
            if scheme not in ("http", "https") or "@" not in parts.netloc:
                return cls(url, protocols=protocols)
            user, _, host = parts.netloc.rpartition("@")
            username, _, password = user.partition(":")
            bare = urlunsplit(parts._replace(netloc=host))
            return cls(bare, None, unquote(username), unquote(password), protocols)
        if not separator and ":" in url.split("/", 1)[0]:
            return cls(url, protocols=protocols)
        path = Path(unquote(rest) if separator else url).expanduser().resolve()
        return cls(str(path), path, protocols=protocols)

    def __str__(self) -> str:
        """The address as messages show it."""
        return without_credentials(self.url)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this address from others."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:8]

    def repository(self) -> Git | None:
        """Git in the repository on this machine, for reading; None where the address is a remote one.

        Raises:
            RepositoryError: there is no repository at the path, or it lacks history or contents.
        """
        if self.path is None:
            return None
        if "file" not in self.protocols:
            raise RepositoryError(
                Reason.REPOSITORY_UNREACHABLE, f"{self} is a path that a remote repository may not name: give its URL"
            )
        git = Git(self.path).with_environment(GIT_CEILING_DIRECTORIES=str(self.path.parent))
        if not self.path.is_dir() or git.answer("rev-parse", "--git-dir") is None:
            raise RepositoryError(
                Reason.REPOSITORY_UNREACHABLE, f"{self} isn't a git repository: give the path of a clone or its URL"
            )
        if git.text("rev-parse", "--is-shallow-repository") == "true":
            raise RepositoryError(
                Reason.REPOSITORY_SHALLOW,
                f"{self} is a shallow clone without the history: run `git fetch --unshallow` in it, or name its origin",
            )
        if git.answer("config", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$"):
            raise RepositoryError(
                Reason.REPOSITORY_SHALLOW,
                f"{self} is a partial clone without all contents: name its origin instead of the path",
            )
        return git

    def origin_url(self) -> str | None:
        """The origin of a clone on this machine, None where it has none; a remote address itself."""
        repository = self.repository()
        return self.url if repository is None else repository.answer("config", "--get", "remote.origin.url")

    def module_directory(self, name: str) -> Path | None:
        """Where a clone on this machine keeps its submodule `name`, if it does."""
        repository = self.repository()
        if repository is None:
            return None
        modules = repository.directory / repository.text("rev-parse", "--git-common-dir") / "modules"
        directory = (modules / name).resolve()
        return directory if directory.is_dir() and directory.is_relative_to(modules.resolve()) else None

    def submodule(self, url: str, parent_url: str) -> Self:
        """The source of a submodule whose `.gitmodules` says `url`, within a clone of `parent_url`.

        Only a repository of this machine may have its submodules on this machine, and only the same server gets
        the credentials.
        """
        if url.startswith(("./", "../")):
            url = _relative_to(parent_url, url)
        protocols = self.protocols if self.path is not None else REMOTE_PROTOCOLS
        found = self.parse(url, protocols)
        if self.username and urlsplit(found.url)[:2] == urlsplit(self.url)[:2]:
            return replace(found, username=self.username, password=self.password)
        return found

    def transfer(self, directory: Path) -> Git:
        """Git in `directory` with this repository as the remote `origin`, and the network that it needs."""
        settings = [("include.path", str(CONFIGURATION)), ("core.askPass", ""), ("remote.origin.url", self.url)]
        if self.path is not None:
            settings.append(("remote.origin.uploadpack", _QUIET_UPLOAD_PACK))
        if self.username:
            host = "{0.scheme}://{0.netloc}".format(urlsplit(self.url))
            settings += [(f"credential.{host}.helper", ""), (f"credential.{host}.helper", _HELPER)]
        environment = self._environment() | {"GIT_DIR": str(directory), "GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        # A transfer waits for others, so it is ended with isobench; what is local ends by itself.
        command = (*SUPERVISED, "git")
        return Git(directory, environment, _TRANSFER_TIMEOUT_SECONDS, f"repository {self}", command)

    def _environment(self) -> dict[str, str]:
        environment = local_environment() | {"GIT_ALLOW_PROTOCOL": ":".join(self.protocols)}
        if self.path is not None:
            return environment
        for isolation in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
            del environment[isolation]
        if self.username:
            environment |= {"ISOBENCH_GIT_USERNAME": self.username, "ISOBENCH_GIT_PASSWORD": self.password}
        return environment | {name: os.environ[name] for name in _OF_THE_USER if name in os.environ}


def _relative_to(parent_url: str, url: str) -> str:
    while url.startswith(("./", "../")):
        step, _, url = url.partition("/")
        if step == "..":
            parent_url = re.sub(r"(?<=[^/:])[/:]?[^/:]+/*$", "", parent_url)
    return f"{parent_url.rstrip('/')}/{url}"
