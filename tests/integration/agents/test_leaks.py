"""Nothing that an agent can read tells of the human change, and nothing that would tell can be had."""

import base64
import gzip
import os
from pathlib import Path

import pytest

from building.attempts import AttemptBench
from building.releases import released
from isobench.adapters.files import read_model
from isobench.contracts.prepared import Prepared
from isobench.engine.leaks import HumanChange, added_lines, refuse_leaks
from isobench.stages.human_change import human_change

# Packed, as only so much of what an agent prints is kept.
SEARCH = r"""
{
echo "$PWD $HOME"
cat "$ISOBENCH_TASK"
grep -rIh '' . "$HOME" "$TMPDIR" "$VIRTUAL_ENV/.." 2>/dev/null
for object in $(git cat-file --batch-all-objects --batch-check='%(objectname)'); do git cat-file -p $object; done
git log --all --format='%H %s %b'; git reflog; git stash list; git for-each-ref; git remote -v; env
cat /proc/*/cmdline | tr '\0' ' '; cat /proc/self/mountinfo; find / -xdev -path '*agents*' 2>/dev/null
} | gzip -9 | base64 -w 0
"""

OF_A_BACKEND = "Metadata-Version: "
"""Of a release's PKG-INFO: today's build backend writes it into base's environment as well."""


def everything_read(bench: AttemptBench) -> str:
    """Everything that the search has found, in its own words."""
    return gzip.decompress(base64.b64decode(bench.printed(), validate=True)).decode(errors="replace")


def test_what_it_can_read_holds_nothing_of_the_human_change(bench, swift):
    bench.attempt(SEARCH)
    read = everything_read(bench)
    commits = bench.prepare().commits
    change = HumanChange(commits.head_commit, commits.subject, "https://host.example/fast/swift/pull/12", frozenset())
    assert "PASSES = 4" in read
    assert "efficiency_test.py" in read
    refuse_leaks(read, change)
    for secret in (
        "PASSES = 2",
        "Halve",
        "looked at twice less",
        *swift.plain,
        swift.faster,
        str(bench.workspace.root),
    ):
        assert secret not in read


@pytest.mark.slow
@pytest.mark.parametrize("name", ["idna-contextj", "packaging-requirements", "more-itertools-all-equal"])
def test_what_it_can_read_of_a_real_release_holds_nothing_of_the_next(tmp_path, name):
    bench = AttemptBench(tmp_path, released(name, tmp_path), person=os.environ)
    bench.attempt(SEARCH, build=True)
    read, prepared = everything_read(bench), read_model(bench.workspace.prepared, Prepared)
    assert bench.workspace.task.read_text() in read
    for target in bench.outcome.targets:
        assert (Path(prepared.arms[0].tree) / target).read_text() in read
    change = human_change(prepared, None)
    assert len(change.added_lines) > 10, "there is something to look for"
    found = change.added_lines & {" ".join(line.split()) for line in read.splitlines()}
    assert {line for line in found if not line.startswith(OF_A_BACKEND)} == set()
    refuse_leaks(read, HumanChange(change.head_commit, change.subject, None, frozenset()))


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
    places = {"upstream": bench.pair.repository, "trees": work / "trees", "item": bench.workspace.root, "work": work}
    bench.attempt(f"{attempt.format(**places)}; ls; rm -rf upstream; git cat-file -p {bench.pair.head}")
    said = bench.printed() + bench.printed("stderr")
    assert "Halve" not in said
    assert "PASSES = 2" not in said
    assert bench.outcome.outcome in ("no_change", "not_finished", "tampered")
    assert not list(added_lines(bench.workspace.patch.read_text()))
