"""What a dataset is called: its repository on the hub, and its file on this machine."""

import re
from urllib.parse import urlsplit

from isobench.contracts.base import InvalidInput

# One part of a repository's name as the hub takes it.
_PART = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")


def hub_repo_id(hf_repo: str, dataset_name: str) -> str:
    """``<owner>/<name>`` from a URL, ``owner/name``, or ``owner`` (the name is then ``dataset_name``'s).

    Raises:
        InvalidInput: ``hf_repo`` is none of these.
    """
    parts = _path_of(hf_repo)
    if len(parts) == 1:
        parts.append(_flat(dataset_name))
    if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
        problem = f"{hf_repo!r} names no dataset repository; write owner/name, owner, or the dataset's URL"
        raise InvalidInput("hf_repo", [problem])
    return "/".join(parts)


def dataset_file_name(hf_repo: str | None, dataset_name: str) -> str:
    """Name of the JSONL file: the repository's name where there is one, else ``dataset_name``.

    Raises:
        InvalidInput: ``hf_repo`` names no dataset repository.
    """
    name = hub_repo_id(hf_repo, dataset_name).split("/")[1] if hf_repo else _flat(dataset_name)
    return f"{name}.jsonl"


def _path_of(hf_repo: str) -> list[str]:
    location = urlsplit(hf_repo.strip())
    path = location.netloc + location.path if location.scheme == "hf" else location.path
    parts = [part for part in path.split("/") if part]
    if location.scheme and "tree" in parts[3:4]:
        parts = parts[:3]
    return parts[1:] if parts[:1] == ["datasets"] and len(parts) > 1 else parts


def _flat(dataset_name: str) -> str:
    return dataset_name.replace("/", "__")
