"""What a build process finds in its environment: a short list of a person's variables, and folders of the work root."""

import os
from collections.abc import Mapping
from pathlib import Path

from isobench.engine.project_metadata import Project

# What reaches the registry, speaks the person's language and nothing more: no key, token, compiler flag or home folder.
_ALLOWED = frozenset(
    {
        *("LANG", "LC_ALL", "LC_CTYPE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT"),
        *(
            "UV_DEFAULT_INDEX",
            "UV_INDEX",
            "UV_FIND_LINKS",
            "UV_SYSTEM_CERTS",
            "UV_HTTP_TIMEOUT",
            "UV_OFFLINE",
        ),
        *(
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_FIND_LINKS",
            "PIP_NO_INDEX",
            "PIP_TRUSTED_HOST",
            "PIP_DEFAULT_TIMEOUT",
        ),
    }
)

PATHS_OF_A_PERSON = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT"),
    *("UV_FIND_LINKS", "PIP_FIND_LINKS"),
)
"""Those of them that may name a file or a folder of this machine."""

# Those of them that decide what is found in the registry, so that they are part of a cache key.
_SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")


def build_variables(person: Mapping[str, str], work_root: Path, scratch: Path, own_python: Path) -> dict[str, str]:
    """The environment of a build whose temporary files and home are in ``scratch``.

    ``person`` is the environment that isobench was started in. The folder of isobench's ``own_python`` leaves PATH, so
    that no build finds isobench's packages. Where only pip's index is set, uv gets it too.
    """
    home = scratch / "home"
    home.mkdir(parents=True, exist_ok=True)
    variables = {name: value for name, value in person.items() if name in _ALLOWED}
    if "PIP_INDEX_URL" in variables:
        variables.setdefault("UV_DEFAULT_INDEX", variables["PIP_INDEX_URL"])
    folders = person.get("PATH", os.defpath).split(os.pathsep)
    return variables | {
        "PATH": os.pathsep.join(folder for folder in folders if Path(folder) != own_python.parent),
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "UV_CACHE_DIR": str(work_root / "uv-cache"),
        "PIP_CACHE_DIR": str(work_root / "pip-cache"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "PYTHONNOUSERSITE": "1",
    }


def package_sources(person: Mapping[str, str]) -> dict[str, str]:
    """The variables of ``person`` that decide where packages come from."""
    return {name: person[name] for name in _SOURCES if name in person}


def version_variables(version: str, project: Project, distribution: str) -> dict[str, str]:
    """What tells each of the known tools the version that it would take from git, which a plain tree does not have.

    hatch-vcs and vcs-versioning read setuptools_scm's; versioneer takes the version from the name of the tree's folder.
    """
    suffix = "".join(letter if letter.isalnum() else "_" for letter in project.name or distribution).upper()
    return {
        "SETUPTOOLS_SCM_PRETEND_VERSION": version,
        f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{suffix}": version,
        "PBR_VERSION": version,
        "PDM_BUILD_SCM_VERSION": version,
        "POETRY_DYNAMIC_VERSIONING_BYPASS": version,
        "UV_DYNAMIC_VERSIONING_BYPASS": version,
    }
