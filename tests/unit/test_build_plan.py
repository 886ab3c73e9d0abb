"""How an arm is built follows from the specification and the project, and is decided without touching anything."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.spec import EnvironmentSpec
from isobench.engine.build_plan import (
    NEEDS_ROOT,
    SLACK,
    Attempt,
    BuildSteps,
    Commands,
    Requirements,
    Wheel,
    attempts,
    build_steps,
    cache_key,
    choose_python,
    lock_changes,
    resolve_as_of,
    was_refused_without_root,
)
from isobench.engine.project_metadata import BuildSystem, Project

HERE = ["3.13.0", "3.12.1", "3.11.7", "3.11.2", "3.9.18", "3.8.18"]
INSTALLABLE = Project(build_system=BuildSystem())


@pytest.mark.parametrize(
    ("project", "options", "chosen"),
    [
        (Project(), {}, "3.13.0"),
        (Project(requires_python="<3.12"), {}, "3.11.7"),
        (Project(tested_pythons=frozenset({"3.8", "3.9"})), {}, "3.9.18"),
        (Project(requires_python=">=3.10", tested_pythons=frozenset({"3.8"})), {}, "3.13.0"),
        (Project(pinned_python="3.8.2", tested_pythons=frozenset({"3.9"})), {}, "3.8.18"),
        (Project(pinned_python="3.7"), {}, "3.13.0"),
        (Project(), {"as_of": date(2021, 4, 1)}, "3.9.18"),
        (Project(), {"as_of": date(2015, 4, 1)}, "3.8.18"),
        (Project(tested_pythons=frozenset({"3.9"})), {"base": "3.12.1"}, "3.12.1"),
        (Project(requires_python=">=3.13"), {"base": "3.12.1"}, "3.13.0"),
        (Project(requires_python="<3.9"), {"asked": "3.12"}, "3.12.1"),
        (Project(), {"asked": "3.11.2", "base": "3.12.1"}, "3.11.2"),
        (Project(), {"asked": ">=3.9,<3.12"}, "3.11.7"),
    ],
    ids=[
        "the newest",
        "the newest that is allowed",
        "the newest that is tested",
        "what is tested but not allowed counts for nothing",
        "the pinned one",
        "a pinned one that is not here counts for nothing",
        "the newest of the commit's time",
        "the oldest where all are younger than the commit",
        "base's",
        "not base's where that is not allowed",
        "the specification wins over the project",
        "the specification wins over base",
        "the specification may be a range",
    ],
)
def test_the_python_of_an_arm(project, options, chosen):
    assert choose_python(project, options.pop("asked", None), HERE, **options) == chosen


def test_no_python_here_says_what_is_wanted_what_is_here_and_the_remedy():
    with pytest.raises(ItemFailure) as failure:
        choose_python(Project(requires_python=">=3.14"), None, HERE)

    assert failure.value.reason is Reason.BUILD_FAILED
    for part in (">=3.14", "3.13.0, 3.12.1", "install one", "environment.python"):
        assert part in failure.value.message


def test_a_machine_without_pythons_says_so():
    with pytest.raises(ItemFailure, match="there are none"):
        choose_python(Project(), "3.8", [])


def test_a_version_that_is_none_is_the_specifications_fault():
    with pytest.raises(ItemFailure, match=r"'python3' is not a version; write one such as 3\.11") as failure:
        choose_python(Project(), "python3", HERE)

    assert failure.value.reason is Reason.INVALID_SPEC


def test_install_commands_win_over_metadata():
    spec = EnvironmentSpec(setup_commands=["make tables"], install_commands=["pip install -e ."])

    assert build_steps(INSTALLABLE, spec) == BuildSteps(("make tables",), Commands(("pip install -e .",)))


def test_metadata_then_requirements():
    assert build_steps(INSTALLABLE, EnvironmentSpec()) == BuildSteps((), Wheel(BuildSystem()))
    assert build_steps(Project(has_requirements=True), EnvironmentSpec()) == BuildSteps((), Requirements())


def test_nothing_to_install_says_so():
    with pytest.raises(ItemFailure, match="not a Python project and no installCommands") as failure:
        build_steps(Project(), EnvironmentSpec())

    assert failure.value.reason is Reason.BUILD_FAILED


@pytest.mark.parametrize(
    "command",
    [
        "apt-get install -y libfoo",
        "sudo make install",
        "make && apt install x",
        "DEBIAN_FRONTEND=noninteractive apt-get update",
        "bash -c 'yum install x'",
        "if true; then apk add x; fi",
    ],
)
def test_system_packages_are_refused_before_anything_runs(command):
    with pytest.raises(ItemFailure, match=NEEDS_ROOT):
        build_steps(INSTALLABLE, EnvironmentSpec(setup_commands=[command]))


@pytest.mark.parametrize(
    "command", ["pip install apt", "echo sudo make sandwich", "python -m apt_repo list", "./apt x"]
)
def test_words_that_only_look_like_system_packages_are_not_refused(command):
    assert build_steps(INSTALLABLE, EnvironmentSpec(setup_commands=[command])).setup_commands == (command,)


def test_what_a_command_without_privileges_says():
    assert was_refused_without_root("E: Could not open lock file - open (13: Permission denied)")
    assert was_refused_without_root("This must be run as root")
    assert not was_refused_without_root("error: no such file or directory")


@given(st.datetimes(datetime(1995, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_releases_count_up_to_a_quarter_that_begins_a_month_or_more_after_the_commit(committed_at):
    as_of = resolve_as_of(committed_at)

    assert as_of.day == 1
    assert as_of.month in (1, 4, 7, 10)
    assert SLACK.days <= (as_of - committed_at.date()).days <= SLACK.days + 92


def test_dates_are_tried_in_turn_and_today_at_last():
    day = date(2020, 4, 1)

    assert attempts(Wheel(BuildSystem()), [day, day], has_lock=True) == (Attempt(day, False), Attempt(None, False))
    assert attempts(Wheel(BuildSystem()), [None, day], has_lock=False) == (Attempt(None, False), Attempt(day, False))


def test_commands_are_held_to_bases_versions_first():
    assert attempts(Commands(("x",)), [], has_lock=True) == (Attempt(None, True), Attempt(None, False))


def test_which_dependencies_differ():
    assert lock_changes(["a==1", "b==2", "c==3"], ["a==1", "b==2.1", "d==4"]) == ["b 2 -> 2.1"]


STEPS = BuildSteps((), Wheel(BuildSystem()))


@pytest.mark.parametrize(
    "different",
    [
        {"tree": "b"},
        {"steps": BuildSteps(("x",), Wheel(BuildSystem()))},
        {"steps": BuildSteps((), Wheel(BuildSystem(requires=("flit",))))},
        {"steps": BuildSteps((), Requirements())},
        {"steps": BuildSteps((), Commands(()))},
        {"ways": (Attempt(None, True),)},
        {"replica": 1},
    ],
)
def test_a_cache_key_changes_with_everything_that_decides(different):
    inputs = {"tree": "a", "steps": STEPS, "ways": (Attempt(None, False),), "replica": 0}

    assert cache_key(**inputs) == cache_key(**inputs)
    assert cache_key(**{**inputs, **different}) != cache_key(**inputs)


@given(st.dictionaries(st.sampled_from("abc"), st.text()))
def test_all_cache_keys_are_of_one_length(inputs):
    assert len(cache_key(**inputs)) == len(cache_key())
