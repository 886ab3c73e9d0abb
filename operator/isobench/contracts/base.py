"""What every contract shares: frozen models, and validation whose errors are sentences."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class InvalidInput(ValueError):
    """Input that a person wrote and that isobench can't take; ``problems`` holds one sentence each."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        """Name the ``source`` (a file, a flag, an object) and what is wrong in it."""
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(self.problems))


class Contract(BaseModel):
    """A frozen value with snake_case names; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    camel_case: ClassVar[bool] = False

    @classmethod
    def parse(cls, data: object, source: str) -> Self:
        """Validate ``data`` as it came from ``source``.

        Raises:
            InvalidInput: one sentence per problem, with the nearest known name for an unknown key.
        """
        try:
            return cls.model_validate(data, by_alias=cls.camel_case, by_name=not cls.camel_case)
        except ValidationError as error:
            raise InvalidInput(source, [_sentence(cls, problem) for problem in error.errors()]) from None


class KubernetesContract(Contract):
    """A frozen value whose keys are camelCase in manifests and snake_case in Python and TOML."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)

    camel_case: ClassVar[bool] = True

    def manifest(self) -> dict[str, Any]:
        """The value as it stands in a manifest: camelCase keys, absent values left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _sentence(model: type[Contract], problem: Mapping[str, Any]) -> str:
    location: tuple[int | str, ...] = tuple(problem["loc"])
    path = ".".join(str(step) for step in location) or "the document"
    if problem["type"] == "extra_forbidden":
        return f"{path}: no such key{_nearest(model, location)}"
    if problem["type"] == "missing":
        return f"{path}: is required and missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    shown = repr(problem["input"])
    return f"{path}: {message[:1].lower()}{message[1:]} (got {shown if len(shown) <= 80 else shown[:77] + '...'})"


def _nearest(model: type[Contract], location: Sequence[int | str]) -> str:
    known = {
        field.alias if model.camel_case and field.alias else name
        for owner in _owners(model, location)
        for name, field in owner.model_fields.items()
    }
    matches = difflib.get_close_matches(str(location[-1]), sorted(known), n=1, cutoff=0.5)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; known keys are {', '.join(sorted(known))}"


def _owners(model: type[Contract], location: Sequence[int | str]) -> list[type[Contract]]:
    owners = [model]
    for step in location[:-1]:
        if isinstance(step, int):
            continue
        fields = (
            field for owner in owners for name, field in owner.model_fields.items() if step in (name, field.alias)
        )
        stepped = [found for field in fields for found in _contracts_in(field.annotation)]
        owners = stepped or owners
    return owners


def _contracts_in(annotation: object) -> Iterator[type[Contract]]:
    if isinstance(annotation, type) and issubclass(annotation, Contract):
        yield annotation
    for argument in get_args(annotation):
        yield from _contracts_in(argument)
