"""Configuration files: `config/main_<provider>.toml` or the legacy YAML, and the one `.env` with keys beside it."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from isobench.contracts.base import InvalidInput
from isobench.engine.legacy import FOLDERS, layer_of_legacy, notice
from isobench.engine.settings import (
    EffectiveConfiguration,
    Given,
    Layer,
    layer_of_environment,
    layer_of_file,
    merge,
)

FOLDER = Path("config")
DEFAULT_PROVIDER = "openai"
LEGACY_FILE = Path("commit_to_dataset.yaml")
FILE_VARIABLE = "ISOBENCH_CONFIG"
LEGACY_FILE_VARIABLE = "ISO_BENCH_CONFIG"


def load_configuration(
    environment: Mapping[str, str], flags: Layer, file: Path | None = None, provider: str | None = None
) -> EffectiveConfiguration:
    """The configuration in force: flag over environment over file over default.

    The file is ``file``, else ``provider``'s, else what the variables name, else the legacy file or the default
    provider's where they are here. A legacy file lies over the provider's: prices are only there.

    Raises:
        InvalidInput: a file can't be read or understood, the provider is unknown, or a setting is wrong.
    """
    chosen = _chosen(environment, file, provider)
    legacy = chosen if chosen is not None and chosen.suffix in (".yaml", ".yml") else None
    if legacy is not None:
        written, notices = _read_legacy(legacy)
        named = written.get(("llm", "provider"))
        toml = _provider_file(provider or (str(named.value) if named else None))
    elif provider is not None and file is not None:
        raise InvalidInput("--provider", [f"names another file than --config {file}; give one of them"])
    else:
        written, notices, toml = {}, (), chosen
    below = layer_of_file(_read_toml(toml), str(toml)) if toml is not None else {}
    settings = merge(below, written, layer_of_environment(environment), flags)
    return replace(settings, notices=notices, variables=_read_keys(chosen) | dict(environment))


def _providers() -> dict[str, Path]:
    return {path.stem.removeprefix("main_"): path for path in sorted(FOLDER.glob("main_*.toml"))}


def _chosen(environment: Mapping[str, str], file: Path | None, provider: str | None) -> Path | None:
    if file is not None:
        return file
    if provider is not None:
        return _provider_file(provider)
    for variable in (FILE_VARIABLE, LEGACY_FILE_VARIABLE):
        if environment.get(variable):
            return Path(environment[variable])
    return LEGACY_FILE if LEGACY_FILE.is_file() else _provider_file(None)


def _provider_file(provider: str | None) -> Path | None:
    known = _providers()
    if provider is None:
        return known.get(DEFAULT_PROVIDER)
    if provider not in known:
        names = ", ".join(known) or f"none: there is no {FOLDER}/main_<provider>.toml here"
        raise InvalidInput("provider", [f"{provider!r} is not known here (known: {names})"])
    return known[provider]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(str(path), [f"is not TOML: {error}"]) from None


def _read_legacy(path: Path) -> tuple[Layer, tuple[str, ...]]:
    try:
        values = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise InvalidInput(str(path), [f"is not YAML: {' '.join(str(error).split())}"]) from None
    layer = layer_of_legacy(values, path.name)
    folders = {
        key: Given(folder, f"legacy {path.name}'s default")
        for folder, key in FOLDERS.items()
        if key not in layer and Path(folder).is_dir()
    }
    return {**folders, **layer}, (notice(layer, path.name),)


def _read_keys(configuration: Path | None) -> dict[str, str]:
    """What the `.env` beside the configuration holds; it is never put into this process's environment."""
    path = (configuration or FOLDER / "none").with_name(".env")
    if not path.exists():
        return {}
    values = dotenv_values(stream=StringIO(_text(path)), interpolate=False)
    settings = [name for name in values if name.startswith("ISOBENCH_")]
    if settings:
        raise InvalidInput(str(path), [f"holds {settings[0]}; it is for keys only: put settings into the TOML file"])
    return {name: value for name, value in values.items() if value is not None}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput(str(path), [f"can't be read ({error.strerror}); give another by --config"]) from None
    except UnicodeDecodeError:
        raise InvalidInput(str(path), ["is not UTF-8 text; save it as UTF-8"]) from None
