"""The names in an item's folder."""

from pathlib import Path
from typing import get_args

from isobench.contracts.record import Arm
from isobench.engine.workspace import Workspace

ITEM = Workspace(Path("/runs/owner__name/none/none/2026-01-01_12-00-00/name-0a0a0a0a-1b1b1b1b"))


def test_no_arm_can_be_told_from_another_by_the_length_of_its_scripts_path():
    scripts = [ITEM.script(arm) for arm in get_args(Arm)]
    assert len({len(str(script)) for script in scripts}) == 1
    assert len(set(scripts)) == len(scripts)


def test_an_arms_script_does_not_say_which_arm_it_is():
    for arm in get_args(Arm):
        assert arm not in str(ITEM.script(arm))


def test_everything_is_in_the_items_folder_under_a_name_of_its_own():
    places = [
        *(ITEM.status, ITEM.item, ITEM.journal, ITEM.prepared, ITEM.test, ITEM.timed, ITEM.record, ITEM.ledger()),
        *(ITEM.api(arm) for arm in get_args(Arm)),
        *(ITEM.script(arm) for arm in get_args(Arm)),
        *(ITEM.probe(stage) for stage in ("validate", "timing")),
    ]
    assert len(set(places)) == len(places)
    assert all(place.is_relative_to(ITEM.root) for place in places)
    assert (ITEM.status.name, ITEM.journal.name) == ("status.json", "journal.json")
