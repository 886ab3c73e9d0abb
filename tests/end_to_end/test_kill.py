"""A run that is killed at any instant and started again loses nothing, repeats nothing and leaves nothing behind."""

import pytest

from building.bench import Bench
from building.killing import STAGES, campaigns, draw_instants, timed_run, write_manifest

KILLS = 10
SEED = 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_killed_at_random_instants_ends_like_one_that_was_never_killed(tmp_path, swift):
    reference = Bench(tmp_path / "reference")
    events = timed_run(reference, write_manifest(reference, swift))

    ended = list(campaigns(tmp_path, swift, reference, draw_instants(SEED, KILLS, events)))

    kills = [kill for campaign in ended for kill in campaign.kills]
    assert len(kills) == KILLS
    assert {kill.instant.stage for kill in kills} == {None, *STAGES}
    assert [kill.left for kill in kills if kill.left] == []
    assert [campaign.wrong for campaign in ended if campaign.wrong] == []
