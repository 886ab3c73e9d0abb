"""Whatever a model answers and whoever is killed: what the provider charges never passes the cap."""

from pathlib import Path

import pytest

from agent.conversing import Warm
from agent.gambling import play


@pytest.mark.parametrize("seed", range(20))
def test_a_random_conversation_never_costs_more_than_its_cap(seed: int, warm: Warm, tmp_path: Path) -> None:
    assert play(seed, warm, tmp_path).wrong == []


@pytest.mark.parametrize("seed", range(1000, 1005))
def test_a_kill_and_a_second_life_never_cost_more_than_one_cap(seed: int, warm: Warm, tmp_path: Path) -> None:
    played = play(seed, warm, tmp_path, kill=True)
    assert played.wrong == []
    assert len(played.ends) == 2
    assert played.ends[0] == ("crashed" if played.killed == "conversation" else "llm_unavailable")
