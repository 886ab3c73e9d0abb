"""The configuration file of the old pipeline, `commit_to_dataset.yaml`: what each of its keys is called now."""

import difflib
from collections.abc import Mapping

from isobench.contracts.base import InvalidInput
from isobench.engine.settings import Given, KeyPath, Layer

NEW_KEYS: Mapping[str, KeyPath] = {
    "repo_path": ("repository", "url"),
    "extractions_dir": ("paths", "extractions_dir"),
    "hf_repo": ("publish", "hf_repo"),
    "push_to_hf": ("publish", "push_to_hf"),
    "dataset_name": ("output", "dataset_name"),
    "setup_commands": ("environment", "setup_commands"),
    "install_commands": ("environment", "install_commands"),
    "api": ("output", "api"),
    "docker_image": ("environment", "image"),
    "llm_provider": ("llm", "provider"),
    "llm_model": ("llm", "model"),
    "llm_temperature": ("llm", "temperature"),
    "llm_max_tokens": ("llm", "max_tokens"),
}
SWITCH = "use_docker"
IGNORED = "notes"
"""The old pipeline read it and left the record's field null."""

FOLDERS: Mapping[str, KeyPath] = {
    "misc/experiments/commit_extractions_with_apis": ("paths", "extractions_dir"),
    "misc/experiments/generated_test_generators_v4": ("paths", "tests_dir"),
}
"""Where the old pipeline looked when its file did not say."""


def layer_of_legacy(values: object, name: str) -> Layer:
    """The layer of a legacy file called ``name``; the image counts only where containers are switched on.

    Raises:
        InvalidInput: it is not a table of known keys.
    """
    source = f"legacy {name}"
    if not isinstance(values, Mapping):
        raise InvalidInput(source, ["must be a table of keys and values, such as `repo_path: ../project`"])
    known = [*NEW_KEYS, SWITCH, IGNORED]
    unknown = [str(key) for key in values if key not in known]
    if unknown:
        raise InvalidInput(source, [f"{key}: no such key; {_hint(key, known)}" for key in unknown])
    contained = values.get(SWITCH, False)
    if not isinstance(contained, bool):
        raise InvalidInput(source, [f"{SWITCH}: must be true or false (got {contained!r})"])
    return {
        path: Given(values[key], source)
        for key, path in NEW_KEYS.items()
        if values.get(key) is not None and (contained or key != "docker_image")
    }


def notice(layer: Layer, name: str) -> str:
    """One sentence that says what the keys that ``layer`` took from the legacy file are called now."""
    renamed = ", ".join(f"{key} = {'.'.join(path)}" for key, path in NEW_KEYS.items() if path in layer)
    return f"{name} is a legacy configuration and is still read; in config/main_<provider>.toml: {renamed}"


def _hint(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(sorted(known))}"
