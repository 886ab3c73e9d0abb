"""The object cache: what it fetches, and what it says when a source is slow, broken, locked or gone."""

import os
import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from building.git_servers import BreakingProxy, answering, git_daemon, plain_files
from building.loopback import LOOPBACK, free_port
from building.repositories import RepositoryBuilder, git_at
from isobench.adapters.git.command import Git, RepositoryError
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.git.source import Source
from isobench.contracts.reasons import Reason


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[RepositoryBuilder, int]]:
    """A repository with two versions of one file, and the port of a daemon that serves it."""
    project = RepositoryBuilder(tmp_path / "served" / "project")
    project.commit("one", {"a.py": "x = 1\n"}).commit("two", {"a.py": "x = 2\n"}).set("uploadpack.allowFilter", "true")
    with git_daemon(tmp_path / "served") as port:
        yield project, port


def manager_of(tmp_path: Path, url: str) -> RepoManager:
    return RepoManager(tmp_path / "work", url, "owner/project")


def files_held(manager: RepoManager) -> int:
    """How many file contents lie in the cache."""
    kinds = git_at(manager.cache.path, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)", "--unordered")
    return kinds.split().count("blob")


def test_a_partial_clone_brings_contents_only_for_the_commits_that_are_asked_for(
    served: tuple[RepositoryBuilder, int], tmp_path: Path
) -> None:
    project, port = served
    manager = manager_of(tmp_path, f"git://{LOOPBACK}:{port}/project")
    manager.ensure_base()
    assert files_held(manager) == 0
    manager.export_tree("main", tmp_path / "work" / "tree")
    assert files_held(manager) == 1
    assert manager.diff(f"{project.head}^", project.head).text.endswith("-x = 1\n+x = 2")
    assert files_held(manager) == 2


def test_the_branches_of_a_server_are_what_a_clone_calls_origins(
    served: tuple[RepositoryBuilder, int], tmp_path: Path
) -> None:
    project, port = served
    manager = manager_of(tmp_path, f"git://{LOOPBACK}:{port}/project")
    assert manager.resolve("origin/main") == manager.resolve("main") == manager.main_commit() == project.head
    assert manager.origin_url() == f"git://{LOOPBACK}:{port}/project"


def test_a_source_that_refused_is_not_asked_again(tmp_path: Path) -> None:
    seen: list[str | None] = []
    with answering(404, seen) as address:
        manager = manager_of(tmp_path, f"{address}/owner/project.git")
        for _ in range(3):
            with pytest.raises(RepositoryError, match="not found"):
                manager.ensure_base()
    assert len(seen) == 1


def test_a_local_clone_brings_contents_only_when_asked_for_too(
    served: tuple[RepositoryBuilder, int], tmp_path: Path
) -> None:
    manager = manager_of(tmp_path, str(served[0].path))
    manager.ensure_base()
    assert files_held(manager) == 0


def test_a_server_that_ignores_the_filter_gives_everything(
    served: tuple[RepositoryBuilder, int], tmp_path: Path
) -> None:
    project, port = served
    project.set("uploadpack.allowFilter", "false")
    manager = manager_of(tmp_path, f"git://{LOOPBACK}:{port}/project")
    manager.ensure_base()
    assert files_held(manager) == 2
    assert (manager.export_tree("main", tmp_path / "work" / "tree").path / "a.py").read_text() == "x = 2\n"


def test_a_web_server_without_git_gives_everything(served: tuple[RepositoryBuilder, int], tmp_path: Path) -> None:
    served[0].git("update-server-info")
    with plain_files(tmp_path / "served") as address:
        manager = manager_of(tmp_path, f"{address}/project/.git")
        manager.ensure_base()
        assert (manager.export_tree("main", tmp_path / "work" / "tree").path / "a.py").read_text() == "x = 2\n"


def test_a_commit_that_no_branch_holds_is_fetched_by_its_hash(
    served: tuple[RepositoryBuilder, int], tmp_path: Path
) -> None:
    project, port = served
    project.set("uploadpack.allowAnySHA1InWant", "true").branch("gone").commit("dropped", {"a.py": "x = 3\n"})
    dropped = project.head
    project.switch("main").git("branch", "-D", "gone")
    manager = manager_of(tmp_path, f"git://{LOOPBACK}:{port}/project")
    assert manager.resolve(dropped) == dropped
    assert (manager.export_tree(dropped, tmp_path / "work" / "tree").path / "a.py").read_text() == "x = 3\n"


def test_a_commit_that_the_server_lacks_is_named(served: tuple[RepositoryBuilder, int], tmp_path: Path) -> None:
    manager = manager_of(tmp_path, f"git://{LOOPBACK}:{served[1]}/project")
    with pytest.raises(RepositoryError, match=r"^CommitNotFound: .* has no commit 'f{40}': check the hash, or name"):
        manager.resolve("f" * 40)


def test_a_connection_that_breaks_once_is_tried_again(served: tuple[RepositoryBuilder, int], tmp_path: Path) -> None:
    proxy = BreakingProxy(served[1], breaks=1)
    manager = manager_of(tmp_path, f"git://{LOOPBACK}:{proxy.port}/project")
    manager.ensure_base()
    assert manager.resolve("main") == served[0].head
    assert proxy.connections == 3, "asked what it can, asked again, fetched"
    proxy.close()


def test_a_connection_that_breaks_twice_is_a_transient_failure_and_leaves_nothing(
    served: tuple[RepositoryBuilder, int], tmp_path: Path
) -> None:
    proxy = BreakingProxy(served[1], breaks=2)
    manager = manager_of(tmp_path, f"git://{LOOPBACK}:{proxy.port}/project")
    with pytest.raises(RepositoryError) as caught:
        manager.ensure_base()
    assert caught.value.reason is Reason.GIT_TRANSIENT
    assert caught.value.reason.consequence.retried
    assert proxy.connections == 2
    assert [path.suffix for path in (tmp_path / "work" / "repos").iterdir()] == [".lock"]
    assert manager.resolve("main") == served[0].head
    proxy.close()


@pytest.mark.parametrize(
    ("status", "reason", "requests"),
    [
        (401, Reason.REPOSITORY_UNREACHABLE, 1),
        (404, Reason.REPOSITORY_UNREACHABLE, 1),
        (503, Reason.GIT_TRANSIENT, 2),
        (429, Reason.GIT_TRANSIENT, 2),
    ],
)
def test_only_answers_that_may_pass_are_asked_for_again(
    tmp_path: Path, status: int, reason: Reason, requests: int
) -> None:
    seen: list[str | None] = []
    with answering(status, seen) as address, pytest.raises(RepositoryError) as caught:
        manager_of(tmp_path, f"{address}/owner/project.git").ensure_base()
    assert caught.value.reason is reason
    assert f"{address}/owner/project.git" in caught.value.message
    assert len(seen) == requests


def test_credentials_reach_the_server_and_nothing_else(tmp_path: Path) -> None:
    seen: list[str | None] = []
    with answering(401, seen) as address:
        url = address.replace("://", "://someone:s%40cret@") + "/owner/project.git"
        manager = manager_of(tmp_path, url)
        with pytest.raises(RepositoryError) as caught:
            manager.ensure_base()
    assert f"Basic {b64encode(b'someone:s@cret').decode()}" in seen
    told = [caught.value.message, str(caught.value), repr(manager.source), str(manager.source), manager.slug()]
    assert not any("cret" in text for text in told)
    assert not any(b"cret" in path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file())
    assert "cret" not in str(manager.source.transfer(tmp_path))


def test_the_users_credential_helpers_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text('[credential]\n\thelper = "!echo username=me; echo password=mine; :"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    seen: list[str | None] = []
    with answering(401, seen) as address, pytest.raises(RepositoryError):
        manager_of(tmp_path, f"{address}/owner/project.git").ensure_base()
    assert f"Basic {b64encode(b'me:mine').decode()}" in seen


def empty(folder: Path) -> str:
    return str(RepositoryBuilder(folder / "empty").path)


def shallow(folder: Path) -> str:
    project = RepositoryBuilder(folder / "full").commits(3)
    git_at(folder, "clone", "--quiet", "--depth=1", f"file://{project.path}", "shallow")
    return str(folder / "shallow")


def partial(folder: Path) -> str:
    project = RepositoryBuilder(folder / "full").commits(3).set("uploadpack.allowFilter", "true")
    git_at(folder, "clone", "--quiet", "--filter=blob:none", f"file://{project.path}", "partial")
    return str(folder / "partial")


def plain_folder(folder: Path) -> str:
    (folder / "plain").mkdir()
    return str(folder / "plain")


@pytest.mark.parametrize(
    ("source", "reason", "sentence"),
    [
        (empty, Reason.REPOSITORY_EMPTY, "has no commits: name one that has"),
        (shallow, Reason.REPOSITORY_SHALLOW, "git fetch --unshallow"),
        (partial, Reason.REPOSITORY_SHALLOW, "partial clone without all contents: name its origin"),
        (plain_folder, Reason.REPOSITORY_UNREACHABLE, "isn't a git repository: give the path of a clone or its URL"),
        (lambda folder: str(folder / "gone"), Reason.REPOSITORY_UNREACHABLE, "isn't a git repository"),
        (lambda folder: "-x", Reason.REPOSITORY_UNREACHABLE, "isn't a git repository"),
        (lambda folder: f"git://{LOOPBACK}:{free_port()}/p", Reason.REPOSITORY_UNREACHABLE, "check the URL"),
        (lambda folder: f"http://{LOOPBACK}:{free_port()}/p", Reason.REPOSITORY_UNREACHABLE, "check the URL"),
        (lambda folder: "ext::touch escaped", Reason.REPOSITORY_UNREACHABLE, "transport 'ext' not allowed"),
        (lambda folder: "nonsense://host/p", Reason.REPOSITORY_UNREACHABLE, "check the URL"),
    ],
)
def test_a_source_that_gives_nothing_says_why_and_what_to_do(
    tmp_path: Path, source: Callable[[Path], str], reason: Reason, sentence: str
) -> None:
    url = source(tmp_path)
    with pytest.raises(RepositoryError) as caught:
        RepoManager(tmp_path / "work", url, "owner/project").ensure_base()
    assert caught.value.reason is reason
    assert sentence in caught.value.message
    assert url in caught.value.message
    assert "\n" not in caught.value.message
    assert not (tmp_path / "escaped").exists()


def test_a_repository_around_the_path_is_not_taken_for_it(tmp_path: Path) -> None:
    inner = RepositoryBuilder(tmp_path / "outer").commit().path / "inner"
    inner.mkdir()
    with pytest.raises(RepositoryError, match="isn't a git repository"):
        RepoManager(tmp_path / "work", str(inner))


def test_a_damaged_cache_is_not_taken_for_the_repository_around_the_work_root(tmp_path: Path) -> None:
    around = RepositoryBuilder(tmp_path / "around").commit()
    project = RepositoryBuilder(tmp_path / "project").commit()
    manager = RepoManager(around.path / ".work", str(project.path))
    (manager.ensure_base() / "HEAD").unlink()
    with pytest.raises(RepositoryError):
        manager.resolve("main")
    assert around.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


FETCH = """
import sys
from isobench.adapters.git.repositories import RepoManager
RepoManager(sys.argv[1], sys.argv[2], "owner/project").ensure_base()
"""


def test_a_clone_that_was_killed_half_way_is_made_again(served: tuple[RepositoryBuilder, int], tmp_path: Path) -> None:
    hanging = BreakingProxy(port=None)
    url = f"git://{LOOPBACK}:{hanging.port}/project"
    child = subprocess.Popen([sys.executable, "-c", FETCH, str(tmp_path / "work"), url], env=os.environ.copy())
    assert hanging.reached.wait(timeout=60)
    repos = tmp_path / "work" / "repos"
    assert [path for path in repos.iterdir() if ".unfinished-" in path.name]
    child.send_signal(signal.SIGKILL)
    child.wait()
    hanging.wait_until_left()
    hanging.forward_to = served[1]
    manager = manager_of(tmp_path, url)
    assert manager.resolve("main") == served[0].head
    assert not [path for path in repos.iterdir() if ".unfinished-" in path.name]
    hanging.close()


def use_repository(work_root: str, url: str, number: int) -> tuple[str, str, str]:
    """What one of many processes does at once: make everything for its item, and something that all share."""
    manager = RepoManager(work_root, url, "owner/project")
    head = manager.resolve("main")
    worktree = manager.create_worktree("main", f"item-{number}")
    own = manager.export_tree("main", Path(work_root, f"tree-{number}")).path
    shared = manager.export_tree(f"{head}~{number % 2}", Path(work_root, f"shared-{number % 2}")).path
    return git_at(worktree, "status", "--porcelain"), (own / "a.py").read_text(), (shared / "a.py").read_text()


@pytest.mark.slow
def test_eight_processes_at_once_use_one_repository(served: tuple[RepositoryBuilder, int], tmp_path: Path) -> None:
    url = f"git://{LOOPBACK}:{served[1]}/project"
    with ProcessPoolExecutor(8, mp_context=get_context("spawn")) as pool:
        calls = [pool.submit(use_repository, str(tmp_path / "work"), url, number) for number in range(8)]
        results = [call.result() for call in calls]
    assert results == [("", "x = 2\n", f"x = {2 - number % 2}\n") for number in range(8)]
    manager = manager_of(tmp_path, url)
    assert git_at(manager.ensure_base(), "worktree", "list", "--porcelain").count("worktree ") == 9
    assert git_at(manager.ensure_base(), "fsck", "--no-dangling") == ""


@pytest.mark.slow
def test_many_small_transfers_keep_the_cache_sound(tmp_path: Path) -> None:
    project = RepositoryBuilder(tmp_path / "project").commits(40)
    manager = manager_of(tmp_path, str(project.path))
    manager.ensure_base()
    for sha in project.git("rev-list", "main").split():
        manager.fetch_contents(sha)
    assert (manager.cache.path / "objects" / "pack" / "multi-pack-index").is_file()
    shutil.rmtree(project.path)
    for number in (0, 17, 39):
        tree = manager.export_tree(f"main~{number}", tmp_path / "work" / f"tree-{number}").path
        assert (tree / "steps.txt").read_text() == f"{39 - number}\n"


def test_without_git_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match=r"install git 2\.36 or later"):
        Git(tmp_path).text("version")


def test_a_git_that_never_ends_is_ended_with_its_children(tmp_path: Path) -> None:
    hanging = BreakingProxy(port=None)
    source = Source.parse(f"git://{LOOPBACK}:{hanging.port}/project")
    git_at(tmp_path, "init", "--quiet", "--bare", "cache")
    transfer = source.transfer(tmp_path / "cache")
    with pytest.raises(RepositoryError, match="timed out after 0 s") as caught:
        Git(transfer.directory, transfer.environment, timeout_seconds=0.2).text("fetch", "origin")
    assert caught.value.reason is Reason.GIT_TRANSIENT
    hanging.close()
