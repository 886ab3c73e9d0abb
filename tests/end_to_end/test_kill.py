"""A run that is killed at any instant and started again loses nothing, repeats nothing and leaves nothing behind."""

import os
import signal
import socket

import pytest

from building.bench import Bench, wait_for
from building.killing import SECONDS_TO_DIE, STAGES, campaigns, draw_instants, timed_run, write_manifest
from building.processes import survivors

KILLS = 10
SEED = 1

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_transfer_from_a_server_that_never_answers_dies_with_the_run(bench, scheme):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/owner/name.git"
        manifest = bench.manifest("hanging", url, [{"head": "a" * 40}], test={"inline": "print()"})
        with bench.start("run", manifest, "--json") as process:
            wait_for(process, "StageProgress", text="fetching")
            asked, _ = server.accept()
            os.kill(process.pid, signal.SIGKILL)
        with asked:
            assert survivors(bench.folder, SECONDS_TO_DIE) == []
