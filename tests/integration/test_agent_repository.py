"""The agent's repository: base's tree, and nothing that tells what came after or before it."""

from pathlib import Path

import pytest

from building.repositories import Executable, RepositoryBuilder, Symlink, git_at
from isobench.adapters.git.agent_repository import create_agent_repository
from isobench.adapters.git.repositories import RepoManager

SECRET = "the human change nobody may see\n"


@pytest.fixture
def project(tmp_path: Path) -> RepositoryBuilder:
    big = bytes(range(256)) * 400
    return (
        RepositoryBuilder(tmp_path / "project")
        .exactly()
        .commit("before", {"gone.bin": big, "a.py": "x = 0\n"})
        .tag("v1.2")
        .commit("base subject", {"gone.bin": None, "a.py": "x = 1\r\n", "run": Executable("1\n"), "l": Symlink("a.py")})
        .commit("eol", {".gitattributes": "*.py text eol=lf\n"})
        .tag("base")
        .commit("human change #77", {"a.py": SECRET})
        .commit("later", {"late.py": "1\n"})
    )


@pytest.fixture
def manager(tmp_path: Path, project: RepositoryBuilder) -> RepoManager:
    project.origin("https://example.com/owner/project.git")
    return RepoManager(tmp_path / "work", str(project.path))


@pytest.fixture
def agent(manager: RepoManager, tmp_path: Path) -> Path:
    return create_agent_repository(manager, manager.resolve("base"), tmp_path / "work" / "item" / "agent")


def test_its_only_commit_is_bases_tree(agent: Path, project: RepositoryBuilder) -> None:
    assert git_at(agent, "rev-list", "--all", "--count") == "1"
    assert git_at(agent, "rev-parse", "HEAD^{tree}") == project.sha("base^{tree}")
    assert git_at(agent, "log", "--format=%s%b") == "base"
    assert git_at(agent, "rev-parse", "--abbrev-ref", "HEAD") == "base"


def test_its_worktree_is_clean_and_exactly_bases_files(agent: Path) -> None:
    assert git_at(agent, "status", "--porcelain", "--ignored") == ""
    assert (agent / "a.py").read_bytes() == b"x = 1\r\n"
    assert (agent / "l").readlink() == Path("a.py")


def test_every_object_in_it_is_of_bases_tree(agent: Path, project: RepositoryBuilder) -> None:
    held = set(git_at(agent, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())
    of_base = set(project.git("rev-list", "--objects", "--no-object-names", "base^{tree}").split())
    assert held == of_base | {git_at(agent, "rev-parse", "HEAD")}
    assert git_at(agent, "fsck", "--full", "--unreachable") == ""


def test_nothing_of_the_real_history_is_in_any_of_its_files(agent: Path, project: RepositoryBuilder) -> None:
    telling = [
        SECRET.strip(),
        "human change",
        "base subject",
        "example.com",
        "#77",
        *project.git("log", "--format=%H").split(),
    ]
    files = [path for path in agent.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        assert not [word for word in telling if word.encode() in content], path
    assert sum(path.stat().st_size for path in files) < 20_000, "the file that base no longer has is not in it"


def test_it_has_no_remote_hook_reflog_or_alternate(agent: Path) -> None:
    assert git_at(agent, "remote") == ""
    assert git_at(agent, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/base", "refs/tags/v1.3.dev2"]
    for name in ("hooks", "logs", "objects/info/alternates", "FETCH_HEAD", "ORIG_HEAD", "packed-refs", "shallow"):
        assert not (agent / ".git" / name).exists(), name


def test_its_tag_gives_the_version_of_bases_real_history(agent: Path, manager: RepoManager) -> None:
    assert git_at(agent, "describe", "--tags", "--long").rsplit("-", 2)[:2] == ["v1.3.dev2", "0"]
    assert manager.describe_version(manager.resolve("base")) == "1.3.dev2"


def test_equal_bases_give_the_same_commit_wherever_and_whenever(
    manager: RepoManager, agent: Path, tmp_path: Path
) -> None:
    other = create_agent_repository(manager, manager.resolve("base"), tmp_path / "work" / "other" / "agent")
    assert git_at(other, "rev-parse", "HEAD") == git_at(agent, "rev-parse", "HEAD")


def test_a_finished_one_keeps_the_agents_work(manager: RepoManager, agent: Path) -> None:
    (agent / "a.py").write_text("x = 3\n")
    git_at(agent, "commit", "--quiet", "--all", "-m", "agent")
    assert create_agent_repository(manager, manager.resolve("base"), agent) == agent
    assert git_at(agent, "log", "--format=%s").split() == ["agent", "base"]
    assert git_at(agent, "diff", "--stat", "HEAD^").splitlines()[-1].strip().startswith("1 file changed")


def test_submodules_are_files_in_it_and_the_worktree_is_clean(tmp_path: Path) -> None:
    library = RepositoryBuilder(tmp_path / "library").commit("library", {"l.py": "l = 1\n"})
    project = RepositoryBuilder(tmp_path / "p").commit("a", {"a": "1\n"}).submodule("library", str(library.path))
    manager = RepoManager(tmp_path / "work", str(project.path))
    agent = create_agent_repository(manager, manager.resolve("main"), tmp_path / "work" / "agent")
    assert (agent / "library" / "l.py").read_text() == "l = 1\n"
    assert git_at(agent, "status", "--porcelain") == ""
    assert git_at(agent, "rev-parse", "HEAD^{tree}") == project.sha("main^{tree}")
