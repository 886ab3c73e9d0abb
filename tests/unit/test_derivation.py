"""An environment is derived only where the changed files are copies that the backend did nothing else with."""

from hypothesis import given, settings
from hypothesis import strategies as st

from isobench.engine.derivation import Reads, changed_copies, origin_of

MODE = 0o100644
FILES = {
    "pyproject.toml": (MODE, "project"),
    "src/swift/core.py": (MODE, "core"),
    "src/swift/version.py": (MODE, "version"),
    "docs/index.rst": (MODE, "docs"),
}
MEMBERS = {"swift/core.py": "core", "swift/version.py": "version"}
OPENED = {"pyproject.toml": 1, "src/swift/core.py": 1, "src/swift/version.py": 1}


def origin(files=FILES, members=MEMBERS, opened=OPENED, compiled=(), started=False):
    return origin_of(files, members, Reads(opened, frozenset(compiled), started))


def test_a_copied_file_that_changed_is_replaced():
    assert changed_copies(origin(), FILES | {"src/swift/core.py": (MODE, "faster")}) == ["src/swift/core.py"]
    assert origin().copied["src/swift/core.py"] == "swift/core.py"


def test_a_file_that_was_never_opened_changes_nothing():
    assert changed_copies(origin(), FILES | {"docs/index.rst": (MODE, "more")}) == []


def test_equal_trees_need_nothing():
    assert changed_copies(origin(), FILES) == []


def test_a_file_that_the_backend_read_decides():
    assert changed_copies(origin(), FILES | {"pyproject.toml": (MODE, "other")}) is None


def test_a_copied_file_that_was_also_compiled_decides():
    parsed = origin(compiled={"version"})
    assert changed_copies(parsed, FILES | {"src/swift/version.py": (MODE, "2.0")}) is None


def test_a_copied_file_that_was_opened_twice_decides():
    searched = origin(opened=OPENED | {"src/swift/version.py": 2})
    assert changed_copies(searched, FILES | {"src/swift/version.py": (MODE, "2.0")}) is None


def test_a_file_that_the_wheel_holds_otherwise_decides():
    rewritten = origin(members=MEMBERS | {"swift/core.py": "core, stripped"})
    assert changed_copies(rewritten, FILES | {"src/swift/core.py": (MODE, "faster")}) is None


def test_files_that_come_go_or_change_their_mode_ask_for_a_build():
    assert changed_copies(origin(), FILES | {"src/swift/new.py": (MODE, "new")}) is None
    assert changed_copies(origin(), {path: FILES[path] for path in FILES if path != "docs/index.rst"}) is None
    assert changed_copies(origin(), FILES | {"src/swift/core.py": (0o100755, "core")}) is None


def test_nothing_is_known_of_what_another_program_read():
    assert changed_copies(origin(started=True), FILES | {"docs/index.rst": (MODE, "more")}) is None


def test_two_equal_files_that_could_both_be_the_source_are_decisive():
    twins = FILES | {"old/swift/core.py": (MODE, "core")}
    opened = OPENED | {"old/swift/core.py": 1}
    assert changed_copies(origin(twins, opened=opened), twins | {"old/swift/core.py": (MODE, "faster")}) is None


@settings(derandomize=True)
@given(st.sets(st.sampled_from(sorted(FILES))), st.booleans())
def test_what_is_replaced_is_what_changed_and_was_copied(changed, started):
    files = {path: (MODE, "other") if path in changed else FILES[path] for path in FILES}
    replaced = changed_copies(origin(started=started), files)
    if changed and (started or "pyproject.toml" in changed):
        assert replaced is None
    else:
        assert set(replaced or []) == {path for path in changed if path.startswith("src/")}
