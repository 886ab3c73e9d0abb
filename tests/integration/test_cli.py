"""The command line as a person meets it: bad input in one sentence, help with examples, answers at once."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from building.items import NOON, batch, heads, manifest, result, template
from isobench.adapters.files import write_model
from isobench.cli import COMMANDS, answer
from isobench.cli.kubectl_plugin import isobench as plugin
from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.engine.machine import JobState, ObservedJob, decide
from isobench.engine.plan import plan_item
from isobench.local.batch_state import open_batch

COMMAND = Path(sys.executable).with_name("isobench")


@pytest.fixture
def isobench(tmp_path):
    """Run the command line in an empty folder."""

    def run(*arguments, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ISOBENCH")} | variables
        return subprocess.run(
            [COMMAND, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


def assert_told(done, *words):
    """Exit code 2, one sentence on stderr that says ``words``, and no traceback."""
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("isobench: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def changed(**spec):
    return yaml.safe_dump(manifest() | {"spec": manifest()["spec"] | spec})


BAD_MANIFESTS = {
    "an empty file": ("", ["is empty; `isobench plan` writes a batch"]),
    "an empty document": ("---\n", ["the document: input should be a valid dictionary"]),
    "no YAML": ("a: [1, 2", ["is not YAML: "]),
    "a tab": ("a:\n\t- 1", ["is not YAML: "]),
    "an object of Python": ("!!python/object/apply:os.system [true]", ["is not YAML: "]),
    "no UTF-8": (b"name: \xff\xfe", ["is not UTF-8 text; save it as UTF-8"]),
    "a NUL byte": ("a: \0", ["is not YAML: "]),
    "several documents": ("a: 1\n---\nb: 2\n", ["holds 2 documents", "split it"]),
    "a list": ("- 1\n", ["the document: "]),
    "another kind": (yaml.safe_dump(manifest() | {"kind": "Job"}), ["kind: ", "CommitBenchmarkBatch", "'Job'"]),
    "one item": (
        yaml.safe_dump({"kind": "CommitBenchmark", "spec": {"commits": {"head": heads(1)[0]}}}),
        ["is one item, which clusters take by `kubectl apply`", "`isobench plan` writes"],
    ),
    "a bucket": (changed(template=template(output={"store": "s3://b/k"})), ["s3://b/k is not on this machine"]),
    "another version": (yaml.safe_dump(manifest() | {"apiVersion": "v1"}), ["apiVersion: "]),
    "an unknown key": (changed(paralelism=2), ["spec.paralelism: no such key; did you mean 'parallelism'?"]),
    "a wrong type": (changed(parallelism="many"), ["spec.parallelism: ", "'many'"]),
    "no commits": (changed(commits=[]), ["spec.commits: "]),
    "no hash": (changed(commits=[{"head": "HEAD~1"}]), ["spec.commits.0.head: ", "'HEAD~1'"]),
    "too few pairs": (changed(template={"timing": {"minPairs": 3}}), ["spec.template.timing.minPairs: ", "8"]),
    "no repository": (changed(template={}), ["has no repository: give spec.template.repository.url"]),
    "the same commit twice": (changed(commits=[{"head": heads(1)[0]}] * 2), ["is there twice"]),
    "inputs that are not there": (
        changed(inputs={"uri": "inputs.tar", "sha256": "0" * 64}),
        ["inputs.tar: can't be read (No such file or directory); it belongs to the manifest"],
    ),
    "inputs on another machine": (changed(inputs={"uri": "s3://b/k", "sha256": "0" * 64}), ["s3://b/k can't be read"]),
}


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_a_bad_manifest_is_told_in_one_sentence(isobench, tmp_path, name):
    content, words = BAD_MANIFESTS[name]
    (tmp_path / "batch.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_told(isobench("run", "batch.yaml"), *words)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.yaml", "nowhere.yaml: can't be read (No such file or directory); `isobench plan` writes one"),
        (".", ".: can't be read (Is a directory)"),
    ],
)
def test_a_manifest_that_can_not_be_read_is_named(isobench, name, words):
    assert_told(isobench("run", name), words)


def test_inputs_that_were_changed_after_planning_are_refused(isobench, tmp_path):
    (tmp_path / "inputs.tar").write_bytes(b"something else")
    (tmp_path / "batch.yaml").write_text(changed(inputs={"uri": "inputs.tar", "sha256": "0" * 64}))
    assert_told(isobench("run", "batch.yaml"), "inputs.tar: has the digest", "plan again")


def test_every_problem_of_a_manifest_is_a_line(isobench, tmp_path):
    agent = {"repository": {"url": "x"}, "agent": {"budgetUsd": -0.01}}
    (tmp_path / "batch.yaml").write_text(changed(paralelism=1, budgetUsd=-1, template=agent))
    done = isobench("run", "batch.yaml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3
    assert "spec.template.agent.budgetUsd" in done.stderr


def test_a_work_root_that_is_a_file_is_refused(isobench, tmp_path):
    (tmp_path / "batch.yaml").write_text(changed())
    (tmp_path / "taken").write_text("")
    assert_told(isobench("run", "batch.yaml", "--work-root", "taken/work"), "can't be used as the work root")


UNWRITABLE = """
import os, sys
from isobench.cli import answer, isobench, run
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.argv = ["isobench", "run", "batch.yaml", "--work-root", sys.argv[1]]
sys.exit(answer(isobench))
"""


@pytest.mark.parametrize("place", ["locked", "locked/work"])
def test_a_work_root_that_can_not_be_written_is_refused(tmp_path, place):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    (tmp_path / "batch.yaml").write_text(changed())
    (tmp_path / "locked").mkdir(mode=0o555)
    command = [sys.executable, "-c", UNWRITABLE, place]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert_told(done, place, "Permission denied")
    assert not list((tmp_path / "locked").iterdir())


def test_a_second_run_on_one_work_root_is_refused(isobench, tmp_path, work_root):
    (tmp_path / "batch.yaml").write_text(changed())
    with FileLock(work_root.locks / "run.lock"):
        done = isobench("run", "batch.yaml", "--work-root", work_root.path)
    assert_told(done, "another isobench run is using it; wait for that one, or give another --work-root")


def test_items_that_fail_are_told_with_what_to_do_next_and_exit_code_1(isobench, tmp_path):
    nowhere = {"repository": {"url": str(tmp_path / "nowhere")}, "test": {"inline": "print('Execution time: 1s')"}}
    (tmp_path / "batch.yaml").write_text(changed(template=nowhere, commits=[{"head": head} for head in heads(2)]))
    done = isobench("run", "batch.yaml", COLUMNS="200")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "demo: 0 done, 2 not, 0 unfinished" in done.stdout
    assert Reason.REPOSITORY_UNREACHABLE.consequence.advice in done.stdout
    assert len(list((tmp_path / ".work" / "state" / "runs").rglob("journal.json"))) == 2
    assert not (tmp_path / "data").exists()
    again = isobench("run", "batch.yaml", "--json")
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert [event["event"] for event in events] == ["RunStarted", "RunEnded"]
    assert (events[0]["finished"], again.returncode) == (2, 1)


@pytest.mark.parametrize("command", [("status",), ("status", "other"), ("show", "other")])
def test_where_nothing_was_run_there_is_nothing_to_show(isobench, command):
    assert_told(isobench(*command), "recorded here; `isobench")


@pytest.mark.parametrize(
    "arguments", [("run",), ("run", "a.yaml", "--no-such-flag"), ("no-such-command",), ("show",), ("--no-such-flag",)]
)
def test_a_wrong_use_of_the_command_line_says_what_is_wrong(isobench, arguments):
    done = isobench(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def recorded(root, message="a message"):
    """A run of two items: one has failed with this message, the other waits."""
    state = open_batch(root, batch(heads(2)), {"https://host.example/owner/name.git": "owner/name"}, NOON, fresh=False)
    item = next(state.items())
    plan, status, observed = plan_item(item.spec, test_supplied=True), CommitBenchmarkStatus(), ()
    while not status.terminal:
        status = decide(plan, status, observed, NOON).status
        stage = status.stages[-1].name
        reason = Reason.BUILD_FAILED if stage is StageName.PREPARE else None
        observed = (ObservedJob(stage, 1, JobState.ENDED, result(stage, 1, reason, message=message)),)
    write_model(item.workspace.status, status)
    return item


def test_status_shows_every_item_of_a_run_that_is_not_over(isobench, work_root):
    recorded(work_root)
    shown = isobench("status", "--work-root", work_root.path)
    assert shown.returncode == 0
    assert "demo: 0 done, 1 not, 1 unfinished" in shown.stdout
    assert "BuildFailed" in shown.stdout
    assert "waiting" in shown.stdout
    machine = json.loads(isobench("status", "--json", "--work-root", work_root.path).stdout)
    assert (machine["batch"], machine["summary"]["failed"], len(machine["items"])) == ("demo", 1, 2)


def test_show_tells_an_item_by_a_part_of_its_name_or_the_beginning_of_its_commit(isobench, work_root):
    item = recorded(work_root)
    for name in (item.item_id, heads(1)[0]):
        shown = isobench("show", name, "--work-root", work_root.path)
        assert item.item_id in shown.stdout
        assert "BuildFailed: a message" in shown.stdout
        assert f"next: {Reason.BUILD_FAILED.consequence.advice}" in shown.stdout
    assert json.loads(isobench("show", item.item_id, "--json", "--work-root", work_root.path).stdout)["stages"]


def test_show_asks_for_more_where_several_items_fit(isobench, work_root):
    recorded(work_root)
    assert_told(isobench("show", "name-", "--work-root", work_root.path), "could be ", "give more of the name")


def test_what_a_build_said_is_shown_as_it_is_and_not_taken_for_markup(isobench, work_root):
    item = recorded(work_root, message="no [bold] thing in [/usr/lib] [end of output]")
    wide = {"COLUMNS": "300"}
    for command in (("status",), ("show", item.item_id)):
        shown = isobench(*command, "--work-root", work_root.path, **wide)
        assert shown.returncode == 0, shown.stderr
        assert "no [bold] thing in [/usr/lib] [end of output]" in shown.stdout


def test_a_state_that_is_damaged_is_named(isobench, work_root):
    item = recorded(work_root)
    item.workspace.status.write_text("{")
    assert_told(isobench("status", "--work-root", work_root.path), "status.json: is not valid JSON")


FULL = """
mount -t tmpfs -o size=16k tmpfs "$1"
exec "$2" -m isobench run batch.yaml --work-root "$1/work"
"""


def test_a_full_disk_is_told_in_one_sentence(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "batch.yaml").write_text(changed(commits=[{"head": head} for head in heads(500)]))
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL, "sh", disk, sys.executable]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert_told(done, "No space left on device")


def test_help_imports_neither_contracts_nor_vendors():
    code = "import sys; sys.argv[1:] = ['--help']; from isobench.cli import answer, isobench; answer(isobench); " + (
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Examples:" in done.stdout
    heavy = {"pydantic", "git", "rich", "openai", "httpx", "yaml", "datasets", "filelock"}
    assert heavy.isdisjoint(done.stderr.split())


def test_help_lists_every_command(isobench):
    done = isobench("--help")
    assert done.returncode == 0
    for name, (_, line) in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert line.split(",")[0].split(";")[0][:30] in done.stdout


@pytest.mark.parametrize("name", [*(name for name in COMMANDS if name != "config"), "config show"])
def test_the_help_of_every_command_has_an_example(isobench, name):
    done = isobench(*name.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert f"isobench {name}" in done.stdout.partition("Examples:")[2]


@pytest.mark.parametrize("name", plugin.commands)
def test_the_help_of_every_command_of_the_plug_in_has_an_example(name, capsys):
    answer(partial(plugin, [name, "--help"]))
    assert f"kubectl isobench {name}" in capsys.readouterr().out.partition("Examples:")[2]


def test_lines_of_help_are_not_cut(isobench, capsys):
    answer(partial(plugin, ["--help"]))
    for shown in (isobench("--help").stdout, isobench("config", "--help").stdout, capsys.readouterr().out):
        assert "Commands:" in shown
        assert "..." not in shown.partition("Commands:")[2]


def test_the_version_is_told(isobench, capsys):
    assert isobench("--version").stdout.startswith("isobench, version ")
    answer(partial(plugin, ["--version"]))
    assert capsys.readouterr().out.startswith("kubectl isobench, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(isobench, shell):
    assert "isobench" in isobench(_ISOBENCH_COMPLETE=f"{shell}_source").stdout
    words = {"COMP_WORDS": "isobench st", "COMP_CWORD": "1" if shell != "fish" else "st"}
    assert "status" in isobench(_ISOBENCH_COMPLETE=f"{shell}_complete", **words).stdout
