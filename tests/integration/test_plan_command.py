"""`isobench plan`: from extraction files and commit lists to manifests; what is broken is named and stops no other."""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from building.repositories import RepositoryBuilder
from isobench.adapters.inputs import unpack
from isobench.cli.batch_file import read_batch

SCRIPT = "print('Execution time: 1.0s')\n"


@pytest.fixture
def project(tmp_path):
    return RepositoryBuilder(tmp_path / "lab" / "project").commits(4)


def hashes(project):
    """All commits, the oldest first."""
    return project.git("rev-list", "--reverse", "HEAD").split()


def extraction(isobench, sha, name=None, **fields):
    return isobench.write(f"extractions/{name or sha[:8]}.json", json.dumps({"commit_hash": sha} | fields))


def commits(path):
    return yaml.safe_load(Path(path).read_text())["spec"]["commits"]


def plan(isobench, project, *arguments):
    return isobench("plan", "--repo", project.path, *arguments)


def refusal(answer):
    assert answer.code == 2
    assert answer.out == ""
    return answer.err


def test_extraction_files_become_a_manifest_that_run_reads(isobench, project):
    _, second, third, fourth = hashes(project)
    extraction(isobench, fourth, parent_hash=second)
    extraction(isobench, third, parent_hash=None, repo_path="/somebody/elses/path", unknown={"kept": True})
    isobench.write("extractions/extraction_summary.json", "{}")
    isobench.write(f"tests/{fourth[:8]}_test_case_generator.py", SCRIPT)
    answer = plan(isobench, project, "--extractions", "extractions", "--tests", "tests")
    assert answer.code == 0
    assert "2 planned (1 with a test, 1 without), 0 dropped, 0 broken" in answer.out
    assert "next: isobench run batch.yaml" in answer.out
    batch = read_batch(Path("batch.yaml"))
    assert {commit.head: commit.base for commit in batch.spec.commits} == {fourth: second, third: None}
    assert batch.spec.template.repository.url == str(project.path)
    assert batch.metadata.name == "project"
    supplies = unpack(batch.spec.inputs, Path("batch.yaml"), isobench.folder)
    assert (supplies.test(fourth), supplies.test(third)) == (SCRIPT, None)
    assert supplies.extraction(third).model_extra["unknown"] == {"kept": True}
    assert "somebody" not in Path("batch.yaml").read_text()


def test_the_same_inputs_give_the_same_bytes(isobench, project):
    for sha in hashes(project)[1:]:
        extraction(isobench, sha)
        isobench.write(f"tests/{sha}_test_case_generator.py", SCRIPT)
    flags = ("--extractions", "extractions", "--tests", "tests")
    plan(isobench, project, *flags, "-o", "one/batch.yaml")
    for path in isobench.folder.rglob("*.json"):
        path.touch()
    plan(isobench, project, *flags, "-o", "two/batch.yaml")
    for name in ("batch.yaml", "batch.inputs.tar.gz"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert Path("one/batch.inputs.tar.gz").read_bytes()[4:8] == bytes(4), "gzip keeps the time of writing there"
    with tarfile.open("one/batch.inputs.tar.gz") as archive:
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in archive} == {(0, 0, 0, "")}


def test_a_commit_list_takes_hashes_short_hashes_bases_and_parents_by_number(isobench, project):
    project.branch("side", "HEAD~2").commit("on the side", {"side.txt": "x"}).switch("main").merge("side")
    merge, side = project.head, project.sha("side")
    first, second, third, _ = hashes(project.switch("main"))[:4]
    listed = f"# a comment\n{merge} parent=2\n{third[:9]}\n\n{second} {first}\n"
    isobench.write("commits.txt", listed)
    assert plan(isobench, project, "--commits", "commits.txt").code == 0
    assert commits("batch.yaml") == [{"head": merge, "base": side}, {"head": third}, {"head": second, "base": first}]


def test_without_short_hashes_and_parents_the_repository_is_not_copied(isobench, project):
    isobench.write("commits.txt", f"{project.head}\n{project.sha('HEAD~1')} parent=1\n")
    assert plan(isobench, project, "--commits", "commits.txt").code == 0
    assert not (isobench.folder / ".work").exists()


def test_a_commit_list_takes_the_extraction_files_of_its_commits_along(isobench, project):
    extraction(isobench, project.head[:10], "head")
    extraction(isobench, project.sha("HEAD~1"), "other")
    isobench.write("commits.txt", project.head)
    plan(isobench, project, "--commits", "commits.txt", "--extractions", "extractions")
    with tarfile.open("batch.inputs.tar.gz") as archive:
        assert archive.getnames() == [f"extractions/{project.head}.json"]


def test_a_plan_without_files_to_take_along_has_no_archive(isobench, project):
    isobench.write("commits.txt", project.head)
    plan(isobench, project, "--commits", "commits.txt")
    assert "inputs" not in yaml.safe_load(Path("batch.yaml").read_text())["spec"]
    assert {path.name for path in isobench.folder.iterdir()} == {"batch.yaml", "commits.txt"}


def test_duplicates_are_dropped_with_a_line_each(isobench, project):
    extraction(isobench, project.head, "a")
    extraction(isobench, project.head.upper(), "b", parent_hash=project.sha("HEAD~2"))
    extraction(isobench, project.head[:8], "c")
    answer = plan(isobench, project, "--extractions", "extractions")
    assert [line for line in answer.err.splitlines() if line.startswith("dropped: ")] == [
        f"dropped: b.json: commit {project.head} is planned by a.json already",
        f"dropped: c.json: commit {project.head} is planned by a.json already",
    ]
    assert commits("batch.yaml") == [{"head": project.head}]


BROKEN = {
    "empty": (b"", "is empty"),
    "blank": (b" \n", "is empty"),
    "half": (b'{"commit_hash": ', "is not JSON (line 1: "),
    "latin": ('{"commit_hash": "é"}'.encode("latin-1"), "is not UTF-8 text"),
    "utf16": ('{"commit_hash": "a"}'.encode("utf-16"), "is not UTF-8 text"),
    "list": (b"[1, 2]", "holds no JSON object"),
    "number": (b"1" * 5000, "is JSON that can't be taken"),
    "nested": (b"[" * 100_000, "is JSON that can't be taken"),
    "bare": (b"{}", "commit_hash: is required and missing"),
    "hash": (b'{"commit_hash": "main"}', "commit_hash: string should match pattern"),
    "parent": (b'{"commit_hash": "0123456", "parent_hash": 5}', "parent_hash: input should be a valid string"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_extraction_file_is_named_and_the_others_are_planned(isobench, project, name):
    content, said = BROKEN[name]
    isobench.write(f"extractions/{name}.json", content)
    extraction(isobench, project.head)
    answer = plan(isobench, project, "--extractions", "extractions")
    assert answer.code == 0
    (line,) = answer.err.splitlines()
    assert line.startswith(f"broken: extractions/{name}.json: ")
    assert said in line
    assert commits("batch.yaml") == [{"head": project.head}]


def test_a_huge_extraction_file_is_refused_without_being_read(isobench, project):
    with (isobench.write("extractions/huge.json", "")).open("wb") as stream:
        stream.truncate(50 * 2**20)
    extraction(isobench, project.head)
    answer = plan(isobench, project, "--extractions", "extractions")
    assert answer.err == "broken: extractions/huge.json: has 50 MiB; an extraction file may have 20\n"


def test_a_folder_among_the_extraction_files_is_named(isobench, project):
    isobench.write("extractions/folder.json/x", "")
    extraction(isobench, project.head)
    assert "folder.json: can't be read (Is a directory)" in plan(isobench, project, "--extractions", "extractions").err


def test_what_is_not_in_the_repository_is_named_and_the_others_are_planned(isobench, project):
    root = hashes(project)[0]
    isobench.write("commits.txt", f"deadbeef\n{project.head} parent=3\n{root} parent=2\nnonsense\n{project.head}\n")
    answer = plan(isobench, project, "--commits", "commits.txt")
    assert answer.code == 0
    nonsense, missing, third, second = answer.err.splitlines()
    assert "commits.txt: line 4, 'nonsense': " in nonsense
    assert "broken: commits.txt line 1: " in missing
    assert "deadbeef" in missing
    assert third == f"broken: commits.txt line 2: parent=3: {project.head[:12]} has 1 only"
    assert second == f"broken: commits.txt line 3: parent=2: {root[:12]} has 0 only"
    assert commits("batch.yaml") == [{"head": project.head}]


def test_a_test_that_is_not_text_takes_its_commit_out(isobench, project):
    isobench.write(f"tests/{project.head}_test_case_generator.py", b"\x80\x00\xff")
    isobench.write("commits.txt", f"{project.head}\n{project.sha('HEAD~1')}\n")
    answer = plan(isobench, project, "--commits", "commits.txt", "--tests", "tests")
    assert f"broken: tests/{project.head}_test_case_generator.py: is not UTF-8 text" in answer.err
    assert commits("batch.yaml") == [{"head": project.sha("HEAD~1")}]


def test_nothing_left_is_bad_input_and_writes_nothing(isobench, project):
    isobench.write("extractions/empty.json", "")
    said = refusal(plan(isobench, project, "--extractions", "extractions"))
    assert "empty.json: is empty" in said
    assert "nothing is left to plan" in said
    assert not Path("batch.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --commits FILE or --extractions DIR"),
        (("--commits", "none.txt"), "none.txt: can't be read (No such file or directory)"),
        (("--extractions", "none"), "none: can't be read (No such file or directory)"),
        (("--commits", "binary.txt"), "binary.txt: is not UTF-8 text"),
        (("--commits", "good.txt", "--tests", "none"), "none: is not a folder"),
        (("--commits", "good.txt", "--name", "..."), "holds no letter or digit"),
        (("--commits", "good.txt", "-o", "good.txt/batch.yaml"), "can't be written"),
        (("--commits", "good.txt", "--config", "none.toml"), "none.toml: can't be read"),
    ],
)
def test_what_a_person_got_wrong_is_one_sentence(isobench, project, arguments, said):
    isobench.write("good.txt", project.head)
    isobench.write("binary.txt", b"\xff\xfe\x00")
    message = refusal(plan(isobench, project, *arguments))
    assert said in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        (None, "repository.url: is missing: give --repo URL_OR_PATH"),
        ("nowhere", "isn't a git repository"),
        ("https://me:s3cret@git.example/lab/project.git", "carries a user or a password"),
    ],
)
def test_a_repository_that_a_manifest_may_not_name_is_refused(isobench, repository, said):
    isobench.write("commits.txt", "a" * 40)
    chosen = () if repository is None else ("--repo", repository)
    message = refusal(isobench("plan", *chosen, "--commits", "commits.txt"))
    assert said in message
    assert "s3cret" not in message


def test_a_repository_that_does_not_answer_is_one_sentence(isobench):
    isobench.write("commits.txt", "abcdef0\nabcdef1\n")
    message = refusal(isobench("plan", "--repo", "http://127.0.0.1:9/lab/project.git", "--commits", "commits.txt"))
    assert len(message.splitlines()) == 1
    assert "127.0.0.1:9" in message


def test_more_than_a_thousand_commits_become_several_files_that_share_a_budget(isobench, project):
    heads = [f"{number:040x}" for number in range(2001)]
    isobench.write("commits.txt", "\n".join(heads))
    isobench.write(f"tests/{heads[2000]}_test_case_generator.py", SCRIPT)
    arguments = ("--commits", "commits.txt", "--tests", "tests", "--budget-usd", "5", "-o", "many.yaml", "--json")
    summary = json.loads(plan(isobench, project, *arguments).out)
    assert summary["manifests"] == ["many-1.yaml", "many-2.yaml", "many-3.yaml"]
    batches = [read_batch(Path(path)) for path in summary["manifests"]]
    assert [commit.head for batch in batches for commit in batch.spec.commits] == heads
    assert [batch.metadata.name for batch in batches] == ["project-1", "project-2", "project-3"]
    assert [batch.spec.budget_usd for batch in batches] == [5.0, None, None]
    assert [batch.spec.budget_ref for batch in batches] == [None, "project-1", "project-1"]
    assert {batch.spec.template.output.dataset for batch in batches} == {"project"}
    assert [batch.spec.inputs and batch.spec.inputs.uri for batch in batches] == [None, None, "many-3.inputs.tar.gz"]


def test_a_manifest_on_standard_output_is_alone_there_and_finds_its_archive(isobench, project):
    extraction(isobench, project.head)
    answer = plan(isobench, project, "--extractions", "extractions", "-o", "-")
    assert "1 planned" in answer.err
    manifest = isobench.write("elsewhere/batch.yaml", answer.out)
    supplies = unpack(read_batch(manifest).spec.inputs, manifest, isobench.folder)
    assert supplies.extraction(project.head).commit_hash == project.head
    assert not Path("batch.yaml").exists()


def test_the_configuration_is_the_plan_that_flags_change(isobench, project):
    isobench.write("commits.txt", project.head)
    isobench.write(
        "config/main_local.toml",
        '[llm]\nprovider = "local"\nmodel = "model-1"\n[repository]\nurl = "somewhere"\n'
        '[timing]\nmin_pairs = 20\n[environment]\ninstall_commands = ["pip install ."]\n'
        '[output]\ndataset_name = "set"\n',
    )
    isobench.variables({"ISOBENCH_TIMING_MAX_PAIRS": "40"})
    arguments = ("--commits", "commits.txt", "--provider", "local", "--mode", "online", "--generate")
    assert plan(isobench, project, *arguments).code == 0
    batch = yaml.safe_load(Path("batch.yaml").read_text())
    assert batch["metadata"] == {"name": "set"}
    assert batch["spec"]["template"] == {
        "mode": "online",
        "environment": {"installCommands": ["pip install ."]},
        "test": {"generate": {"provider": "local", "model": "model-1"}},
        "timing": {"minPairs": 20, "maxPairs": 40},
        "output": {"dataset": "set"},
        "repository": {"url": str(project.path)},
    }


def test_the_users_clone_is_named_by_its_full_path_and_not_written(isobench, project, monkeypatch):
    isobench.write("commits.txt", project.head[:8])
    before = {path: path.stat().st_mtime_ns for path in project.path.rglob("*")}
    monkeypatch.chdir(project.path.parent)
    arguments = ("--repo", "project", "--commits", isobench.folder / "commits.txt", "-o", isobench.folder / "b.yaml")
    assert isobench("plan", *arguments, "--work-root", isobench.folder / "w").code == 0
    assert read_batch(isobench.folder / "b.yaml").spec.template.repository.url == str(project.path)
    assert {path: path.stat().st_mtime_ns for path in project.path.rglob("*")} == before


CLUSTER = ("--store", "s3://records/project", "--endpoint", "http://s3.example", "--store-secret", "store")


def test_a_manifest_for_a_cluster_names_stores_and_secrets(isobench, project):
    isobench.write("commits.txt", hashes(project)[-1])
    project.git("remote", "add", "origin", "https://host.example/lab/project.git")
    answer = plan(
        isobench,
        project,
        "--commits",
        "commits.txt",
        "--generate",
        "--llm-secret",
        "llm",
        "--parallelism",
        "9",
        *CLUSTER,
    )
    assert answer.code == 0
    assert "next: kubectl apply -f batch.yaml" in answer.out
    spec = yaml.safe_load(Path("batch.yaml").read_text())["spec"]
    template = spec["template"]
    assert template["repository"]["url"] == "https://host.example/lab/project.git", (
        "no pod can read a path of this machine"
    )
    assert template["output"] == {
        "store": "s3://records/project",
        "dataset": "project",
        "endpoint": "http://s3.example",
        "secretRef": {"name": "store"},
    }
    assert template["test"]["generate"]["secretRef"] == template["agent"]["secretRef"] == {"name": "llm"}
    assert spec["parallelism"] == 9


def test_inputs_go_where_pods_find_them(isobench, project, tmp_path):
    head = hashes(project)[-1]
    isobench.write("commits.txt", head)
    isobench.write(f"tests/{head}_test_case_generator.py", SCRIPT)
    shelf = tmp_path / "shelf"
    answer = plan(
        isobench, project, "--commits", "commits.txt", "--tests", "tests", "--inputs-to", shelf.as_uri(),
        "--inputs-secret", "reader",
    )  # fmt: skip
    assert answer.code == 0
    inputs = read_batch(Path("batch.yaml")).spec.inputs
    assert inputs.secret_ref.name == "reader"
    (archive,) = shelf.iterdir()
    assert (inputs.uri, archive.name) == (archive.as_uri(), f"batch-{inputs.sha256[:12]}.inputs.tar.gz")
    assert not Path("batch.inputs.tar.gz").exists()
    assert unpack(inputs, Path("batch.yaml"), tmp_path / "unpacked").test(head) == SCRIPT


def test_inputs_that_can_not_be_put_there_are_said(isobench, project, tmp_path):
    head = hashes(project)[-1]
    isobench.write("commits.txt", head)
    isobench.write(f"tests/{head}_test_case_generator.py", SCRIPT)
    (tmp_path / "taken").write_text("a file")
    destination = (tmp_path / "taken").as_uri()
    said = refusal(plan(isobench, project, "--commits", "commits.txt", "--tests", "tests", "--inputs-to", destination))
    assert "--inputs-to" in said
    assert "check that the folder is there and can be written" in said
