"""Caps of namespaces, as the operator's flags say them."""

from decimal import Decimal

import pytest

from isobench.contracts.base import InvalidInput
from isobench.controller.caps import Caps, parse_cap
from isobench.controller.settings import settings_from


def test_a_namespaces_own_cap_replaces_those_of_every_namespace():
    given = ["--namespace-items", "5", "--namespace-dollars", "20.5", "--namespace-cap", "team-a:items=2"]
    settings = settings_from(given)
    assert settings.caps_of("team-a") == Caps(items=2, dollars=None)
    assert settings.caps_of("team-b") == Caps(items=5, dollars=Decimal("20.5"))


def test_without_flags_no_namespace_is_capped_but_all_together_are():
    settings = settings_from([])
    assert settings.caps_of("team-a") == Caps()
    assert settings.total_items == 1000


@pytest.mark.parametrize(
    ("text", "caps"),
    [
        ("a:items=1", Caps(1)),
        ("a:dollars=0", Caps(None, Decimal(0))),
        ("a:items=10,dollars=1.25", Caps(10, Decimal("1.25"))),
    ],
)
def test_either_part_may_be_left_out(text, caps):
    assert parse_cap(text) == ("a", caps)


@pytest.mark.parametrize("text", ["", "a", "a:", "items=1", "a:items=0", "a:items=x", "a:dollars=-1", "a:dolars=1"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(InvalidInput, match=r"is no cap; write NAMESPACE:items=10,dollars=50"):
        settings_from(["--namespace-cap", text])
