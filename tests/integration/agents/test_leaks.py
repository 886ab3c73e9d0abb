"""Nothing that an agent can read tells of the human change, and nothing that would tell can be had."""

import pytest

from building.attempts import AttemptBench
from isobench.engine.leaks import HumanChange, added_lines, refuse_leaks

SEARCH = r"""
echo "$PWD $HOME"
cat "$ISOBENCH_TASK"
grep -rIh '' . "$HOME" "$TMPDIR" "$VIRTUAL_ENV/.." 2>/dev/null
for object in $(git cat-file --batch-all-objects --batch-check='%(objectname)'); do git cat-file -p $object; done
git log --all --format='%H %s %b'; git reflog; git stash list; git for-each-ref; git remote -v; env
cat /proc/*/cmdline | tr '\0' ' '; cat /proc/self/mountinfo; find / -xdev -path '*agents*' 2>/dev/null
"""


@pytest.fixture
def printed(bench):
    """Everything that it can read, in its own words."""
    bench.attempt(SEARCH)
    return bench.printed()


def test_what_it_can_read_holds_nothing_of_the_human_change(bench, printed, swift):
    commits = bench.prepare().commits
    change = HumanChange(commits.head_commit, commits.subject, "https://host.example/fast/swift/pull/12", frozenset())
    assert "PASSES = 4" in printed
    assert "efficiency_test.py" in printed
    refuse_leaks(printed, change)
    for secret in (
        "PASSES = 2",
        "Halve",
        "looked at twice less",
        *swift.plain,
        swift.faster,
        str(bench.workspace.root),
    ):
        assert secret not in printed


@pytest.mark.parametrize(
    "attempt",
    [
        "git fetch {upstream} main",
        "git clone {upstream} upstream",
        "git remote add o {upstream}; git fetch o",
        "cat {upstream}/swift/__init__.py",
        "cat {trees}/*/swift/__init__.py; ls {trees}",
        "cat {item}/prepared.json {item}/test.py; ls {item}",
        "python -m pip download --no-deps swift==2.0",
        "ls {work}; find {work} -name '*.pack'",
    ],
)
def test_neither_upstream_nor_another_arm_nor_a_later_release_can_be_had(bench: AttemptBench, attempt):
    work = bench.folder / "work"
    places = {"upstream": bench.swift.path, "trees": work / "trees", "item": bench.workspace.root, "work": work}
    bench.attempt(f"{attempt.format(**places)}; ls; rm -rf upstream; git cat-file -p {bench.swift.merged}")
    said = bench.printed() + bench.printed("stderr")
    assert "Halve" not in said
    assert "PASSES = 2" not in said
    assert bench.outcome.outcome in ("no_change", "not_finished", "tampered")
    assert not list(added_lines(bench.workspace.patch.read_text()))
