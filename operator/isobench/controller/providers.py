"""The providers of models that this release knows: what a paid stage's pod is told of the one that it uses."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.status import StageName


class Providers:
    """Configurations by provider, read once."""

    def __init__(self, known: Mapping[str, Configuration]) -> None:
        """``known``: by the provider's name."""
        self._known = known

    @classmethod
    def in_folder(cls, folder: Path | None) -> "Providers":
        """Those of `main_<provider>.toml` in ``folder``.

        Raises:
            InvalidInput: a file can't be taken.
        """
        files = sorted(folder.glob("main_*.toml")) if folder else []
        return cls({file.stem.removeprefix("main_"): _read(file) for file in files})

    def of(self, spec: CommitBenchmarkSpec, stage: StageName) -> Configuration | None:
        """What ``stage`` is told: model and prices, nothing else; None for a stage that calls no model.

        Raises:
            InvalidInput: no provider is known by that name, or none has the model.
        """
        if stage is StageName.GENERATE and spec.test.generate is not None:
            return _told(self._named(spec.test.generate.provider), spec.test.generate.model)
        if stage is StageName.AGENT and spec.agent.kind == "openhands":
            return _told(self._with_model(spec.agent.model), spec.agent.model)
        return None

    def _named(self, provider: str) -> Configuration:
        if provider not in self._known:
            names = ", ".join(self._known) or "none"
            raise InvalidInput("spec.test.generate.provider", [f"{provider!r} is not known here (known: {names})"])
        return self._known[provider]

    def _with_model(self, model: str | None) -> Configuration:
        for configuration in self._known.values():
            if model in configuration.pricing or model == configuration.llm.model:
                return configuration
        raise InvalidInput("spec.agent.model", [f"no provider here has a price for {model!r}"])


def _told(configuration: Configuration, model: str | None) -> Configuration:
    llm = configuration.llm if model is None else configuration.llm.model_copy(update={"model": model})
    prices = {name: price for name, price in configuration.pricing.items() if name == llm.model}
    return Configuration(llm=llm, pricing=prices)


def _read(file: Path) -> Configuration:
    try:
        return Configuration.parse(tomllib.loads(file.read_text(encoding="utf-8")), str(file))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(str(file), [f"is not TOML: {error}"]) from None
