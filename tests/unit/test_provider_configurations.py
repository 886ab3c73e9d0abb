"""The configurations that come with isobench: each is valid, and its model has a price and a variable for its key."""

import tomllib
from pathlib import Path

import pytest

from isobench.contracts.configuration import Configuration
from isobench.engine.money import prices_of

CONFIG = Path(__file__).parents[2] / "config"
PROVIDERS = ["openai", "anthropic", "openrouter", "local"]


def configuration(provider: str) -> Configuration:
    path = CONFIG / f"main_{provider}.toml"
    return Configuration.parse(tomllib.loads(path.read_text(encoding="utf-8")), str(path))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_comes_with_a_priced_model_and_an_address(provider: str) -> None:
    section = configuration(provider).llm
    assert section.provider == provider
    assert section.model is not None
    assert section.base_url is not None
    assert (prices_of(section.model, configuration(provider).pricing).output > 0) == (provider != "local")


@pytest.mark.parametrize("provider", ["openai", "anthropic", "openrouter"])
def test_the_variable_of_a_key_is_in_the_example_and_has_no_value_there(provider: str) -> None:
    lines = (CONFIG / ".env.example").read_text(encoding="utf-8").splitlines()
    assert f"{configuration(provider).llm.api_key_env}=" in lines


def test_a_local_model_needs_no_key_and_no_budget() -> None:
    section = configuration("local").llm
    assert section.api_key_env is None
    assert section.budget_usd == 0
