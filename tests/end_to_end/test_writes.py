"""A run writes below its work root and its data folder, and nowhere else: not at home, not in /tmp."""

import sys

import pytest

from building.projects import write_pip
from building.swift_history import TEST
from building.write_trace import traced, writes


@pytest.mark.slow
def test_a_run_and_all_of_its_processes_write_below_the_work_root_and_the_data_folder_only(bench, swift, tmp_path):
    write_pip(tmp_path / "links")
    commits = [
        {"head": swift.merged},
        {"head": swift.slower, "environment": {"setupCommands": ["python -c 1"], "installCommands": ["pip install ."]}},
        {"head": swift.unbuildable},
        {"head": swift.failing},
    ]
    manifest = bench.manifest("traced", swift.path, commits, test={"inline": TEST})
    bench.run("--help")  # an installation's own first start compiles its entry
    person = bench.environment | {"UV_FIND_LINKS": str(tmp_path / "links"), "PIP_NO_INDEX": "1"}

    command = [sys.executable, "-m", "isobench", "run", str(manifest)]
    assert traced(command, bench.folder, person, tmp_path / "log") == 1

    written = list(writes(tmp_path / "log"))
    allowed = (bench.work, bench.data)
    assert {write for write in written if not any(write.path.is_relative_to(place) for place in allowed)} == set()
    assert {row["test_failed"] for row in bench.rows("traced")} == {"Yes", "No"}
    for place in (bench.data, bench.work / "environments", bench.work / "tmp", bench.work / "uv-cache"):
        assert any(write.path.is_relative_to(place) for write in written)
    assert list(bench.home.iterdir()) == []


def test_the_trace_sees_every_kind_of_write_by_any_process(tmp_path):
    script = """
        echo > new; echo >> new; (mkdir deep; cd deep; mkdir er; ln -s ../new link; mv link moved)
        ln new hard; truncate -s 0 hard; chmod 600 new; touch -d @0 new; mkfifo pipe
        rm -r new hard pipe deep; cat < /etc/passwd > /dev/null
    """
    here = tmp_path / "here"
    here.mkdir()

    assert traced(["sh", "-c", script], here, {"PATH": "/usr/bin:/bin"}, tmp_path / "log") == 0

    seen = {str(write.path.relative_to(here)) for write in writes(tmp_path / "log")}
    assert seen == {"new", "deep", "deep/er", "deep/link", "deep/moved", "hard", "pipe"}
