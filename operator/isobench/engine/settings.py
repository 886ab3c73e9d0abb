"""Settings: flags, environment and files become one configuration that says of every value where it came from."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, get_args, get_origin

from isobench.contracts.base import Contract, InvalidInput
from isobench.contracts.configuration import Configuration

KeyPath = tuple[str, ...]
"""A setting by section and key: ("timing", "min_pairs"), written `timing.min_pairs`."""

DEFAULT = "default"

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY_NAME: KeyPath = ("llm", "api_key_env")


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where a person wrote it: `flag --repo`, `environment ISOBENCH_LLM_MODEL`, a file's name."""

    value: Any
    source: str


Layer = Mapping[KeyPath, Given]
"""What one kind of source gives; a layer on top wins key by key."""


@dataclass(frozen=True)
class EffectiveConfiguration:
    """The configuration in force; it never holds a key, only the names of the variables that do."""

    configuration: Configuration
    sources: Mapping[str, str]
    """Where each setting came from, by its dotted key."""
    notices: tuple[str, ...] = ()
    """What a person should know about the files that were read."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment and the `.env` file: keys are here and nowhere else."""

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting in the configuration's order: dotted key, value, source."""
        for path, value in flatten(self.configuration.model_dump(mode="json")):
            yield _dotted(path), value, self.sources[_dotted(path)]


def merge(*layers: Layer) -> EffectiveConfiguration:
    """The configuration that ``layers`` make over the defaults; later layers win.

    Raises:
        InvalidInput: a key is unknown or a value is of the wrong type; the source is the place where it was written.
    """
    given = {path: entry for layer in layers for path, entry in layer.items()}
    origins = {_dotted(path): entry.source for path, entry in given.items()}
    _refuse_key_as_name(given)
    try:
        configuration = Configuration.parse(_nested(given), "configuration")
    except InvalidInput as error:
        raise _placed(error, origins) from None
    rows = flatten(configuration.model_dump(mode="json"))
    return EffectiveConfiguration(
        configuration, {_dotted(path): origins.get(_dotted(path), DEFAULT) for path, _ in rows}
    )


def layer_of_file(values: Mapping[str, Any], name: str) -> Layer:
    """The layer of a configuration file called ``name`` whose tables are ``values``."""
    return {path: Given(value, name) for path, value in flatten(values)}


def layer_of_environment(environment: Mapping[str, str]) -> Layer:
    """The layer of the variables `ISOBENCH_<SECTION>_<KEY>`; lists and tables are written as JSON, empty is not given.

    The folders of [paths] go without their section: `ISOBENCH_WORK_ROOT`.

    Raises:
        InvalidInput: a variable of a known section names no setting, or its value is not the JSON that it must be.
    """
    known = variables()
    layer = {}
    for name, text in environment.items():
        if name in known and text:
            path, structured = known[name]
            layer[path] = Given(_from_json(name, text) if structured else text, f"environment {name}")
        elif name not in known and _of_a_section(name):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`isobench config show` lists the settings"
            raise InvalidInput("environment", [f"{name}: no such setting; {hint}"])
    return layer


def variables() -> dict[str, tuple[KeyPath, bool]]:
    """The variable of every setting that has one: its key, and whether its value is JSON (a list, a table)."""
    return {_variable(path): (path, structured) for path, structured in _leaves(Configuration)}


def flatten(tables: Mapping[str, Any], above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """The values of nested ``tables`` by their key paths; an empty table is a value."""
    for name, value in tables.items():
        path = (*above, name)
        if isinstance(value, Mapping) and value:
            yield from flatten(value, path)
        else:
            yield path, value


def _variable(path: KeyPath) -> str:
    named = path[1:] if path[0] == "paths" else path
    return "_".join(("ISOBENCH", *named)).upper()


def _of_a_section(name: str) -> bool:
    return any(name.startswith(f"ISOBENCH_{section.upper()}_") for section in Configuration.model_fields)


def _leaves(model: type[Contract], above: KeyPath = ()) -> Iterator[tuple[KeyPath, bool]]:
    for name, described in model.model_fields.items():
        annotation = described.annotation
        options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        tables = [option for option in options if isinstance(option, type) and issubclass(option, Contract)]
        if tables:
            yield from _leaves(tables[0], (*above, name))
        elif (*above, name) != ("pricing",):
            yield (*above, name), any(get_origin(option) in (list, dict) for option in options)


def _from_json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(f"environment {name}", [f'is not JSON; write a list as ["a", "b"] (got {text!r})']) from None


def _nested(given: Layer) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for path in sorted(given, key=len):
        table: Any = tables
        for step in path[:-1]:
            table = table.setdefault(step, {})
            if not isinstance(table, dict):
                break  # a value stands where a table belongs: the contract says so
        else:
            value = given[path].value
            table[path[-1]] = dict(value) if isinstance(value, Mapping) else value
    return tables


def _refuse_key_as_name(given: Layer) -> None:
    name = given.get(_KEY_NAME)
    if name is not None and not (isinstance(name.value, str) and _VARIABLE_NAME.fullmatch(name.value)):
        problem = "llm.api_key_env: must be the name of a variable; the key itself belongs into `.env`"
        raise InvalidInput(name.source, [problem])


def _placed(error: InvalidInput, origins: Mapping[str, str]) -> InvalidInput:
    """The same error, said of the places where what it complains about was written."""
    places = [_place(problem.partition(": ")[0], origins) for problem in error.problems]
    if len(set(places)) == 1:
        return InvalidInput(places[0], error.problems)
    return InvalidInput(
        error.source, [f"{problem} ({place})" for problem, place in zip(error.problems, places, strict=True)]
    )


def _place(key: str, origins: Mapping[str, str]) -> str:
    """Where ``key`` was written: itself, a table above it, or values below it."""
    above = [known for known in origins if key == known or key.startswith(f"{known}.")]
    below = [known for known in origins if known.startswith(f"{key}.")]
    found = sorted({origins[known] for known in above[:1] or below})
    return ", ".join(found) or "configuration"


def _dotted(path: KeyPath) -> str:
    return ".".join(path)
