"""What an agent may do to its worktree, and to its repository."""

import pytest

from isobench.engine.worktree_rules import (
    Change,
    RepositoryState,
    compare_repositories,
    leads_out,
    sort_changes,
    steers,
)

TARGETS = ("pkg/a.py",)
TEST = "efficiency_test.py"
BRANCH = "refs/heads/agent/x/1"
BEFORE = RepositoryState(f"ref: {BRANCH}", {BRANCH: "1", "refs/heads/base": "1"}, {}, {"core.bare": "false"})


def sort(*changes, ignored=()):
    return sort_changes(changes, TARGETS, ignored, TEST)


@pytest.mark.parametrize("kind", ["added", "changed", "removed"])
def test_a_targets_change_is_the_patch(kind):
    assert sort(Change("pkg/a.py", kind)).in_target == ("pkg/a.py",)


@pytest.mark.parametrize(
    "change", [Change("pkg/b.py", "changed"), Change("notes.txt", "added"), Change("x", "removed")]
)
def test_any_other_change_is_off_target(change):
    assert sort(change).off_target == (change.path,)


@pytest.mark.parametrize(
    "path", ["pkg/__pycache__/a.cpython-311.pyc", ".pytest_cache/v/x", ".coverage", "x.egg-info/PKG"]
)
def test_what_tools_leave_is_a_byproduct(path):
    assert sort(Change(path, "added")).byproducts == (path,)
    assert sort(Change(path, "changed")).off_target == (path,)


def test_what_git_would_ignore_is_a_byproduct_only_where_it_is_new():
    assert sort(Change("build/x.so", "added"), ignored={"build/x.so"}).byproducts == ("build/x.so",)
    assert sort(Change("build/x.so", "changed"), ignored={"build/x.so"}).off_target == ("build/x.so",)


def test_a_target_that_became_a_link_is_no_patch():
    assert sort(Change("pkg/a.py", "changed", link="b.py")).off_target == ("pkg/a.py",)


@pytest.mark.parametrize(
    "change",
    [
        Change(TEST, "added"),
        Change("pkg/sitecustomize.py", "added"),
        Change("setup.py", "removed"),
        Change("x.pth", "added"),
        Change("data", "added", link="/etc"),
        Change("pkg/data", "added", link="../../x"),
        Change("pipe", "added", special=True),
    ],
)
def test_what_steers_leads_out_or_is_the_test_is_tampering(change):
    found = sort(change, ignored={change.path})
    assert len(found.tampering) == 1
    assert change.path in found.tampering[0]


@pytest.mark.parametrize("path", ["requirements.txt", "requirements/dev.txt", "a/conftest.py", "dev-requirements.in"])
def test_files_that_decide_what_is_built_or_run_steer(path):
    assert steers(path)


@pytest.mark.parametrize(
    ("path", "link", "out"),
    [("a", "b", False), ("a/b", "../c", False), ("a/b", "../../c", True), ("a", "x/../../c", True), ("a", "/c", True)],
)
def test_a_link_leads_out_by_its_steps(path, link, out):
    assert leads_out(path, link) is out


def state(**changes):
    fields = {"head": BEFORE.head, "refs": BEFORE.refs, "hooks": BEFORE.hooks, "settings": BEFORE.settings}
    return RepositoryState(**fields | changes)


@pytest.mark.parametrize(
    "after",
    [
        state(),
        state(refs={BRANCH: "2", "refs/heads/base": "1"}),
        state(refs={**BEFORE.refs, "refs/stash": "3"}),
        state(settings={**BEFORE.settings, "user.name": "x", "advice.detachedhead": "false"}),
    ],
)
def test_commits_on_its_branch_and_its_own_name_are_ordinary(after):
    assert compare_repositories(BEFORE, after, BRANCH) == ()


@pytest.mark.parametrize(
    "after",
    [
        state(head="ref: refs/heads/mine"),
        state(refs={BRANCH: "1"}),
        state(refs={BRANCH: "1", "refs/heads/base": "2"}),
        state(refs={**BEFORE.refs, "refs/tags/t": "1"}),
        state(hooks={"hooks/pre-commit": "100755 1 x"}),
        state(settings={**BEFORE.settings, "core.fsmonitor": "./x"}),
        state(settings={**BEFORE.settings, "include.path": "/x"}),
        state(settings={}),
    ],
)
def test_anything_else_done_to_the_repository_is_told(after):
    assert len(compare_repositories(BEFORE, after, BRANCH)) == 1
