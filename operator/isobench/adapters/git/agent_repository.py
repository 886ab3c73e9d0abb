"""The agent's repository: base's tree as its only commit, so that nothing in it tells what came later."""

from pathlib import Path

from isobench.adapters.git.command import Git
from isobench.adapters.git.object_cache import EXACT_ATTRIBUTES
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.git.whole_folders import whole_folder

BRANCH = "base"

# Fixed, so that the commit's hash is the tree's: equal bases give equal repositories.
_AUTHOR = {
    **{"GIT_AUTHOR_NAME": "base", "GIT_AUTHOR_EMAIL": "base@localhost", "GIT_AUTHOR_DATE": "@0 +0000"},
    **{"GIT_COMMITTER_NAME": "base", "GIT_COMMITTER_EMAIL": "base@localhost", "GIT_COMMITTER_DATE": "@0 +0000"},
}


def create_agent_repository(manager: RepoManager, base_sha: str, destination: Path) -> Path:
    """A git repository at `destination` with one commit, the tree of `base_sha`, checked out on the branch `base`.

    It has no remote, reflog, hook or alternate, and no object that the tree doesn't hold; a tag carries the version
    of base's real history. Submodules are plain files. A finished repository is returned as it is.

    Raises:
        RepositoryError: the source can't give base or its contents.
    """
    base = manager.commit(base_sha)
    with manager.making(destination):
        if destination.is_dir():
            return destination
        with whole_folder(destination) as folder:
            manager.export_tree(base.sha, folder)
            listing = f"{base.tree}\n".encode()
            pack = manager.cache.git.output("pack-objects", "--revs", "--stdout", "--quiet", stdin=listing)
            _commit(folder, base.tree, pack, tag=manager.version_tag(base.sha))
    return destination


def _commit(directory: Path, tree: str, pack: bytes, tag: str) -> None:
    Git(directory).output("init", "--quiet", f"--initial-branch={BRANCH}")
    metadata = directory / ".git"
    git = Git.of_repository(metadata).with_environment(GIT_WORK_TREE=str(directory), **_AUTHOR)
    (metadata / "info").mkdir()
    (metadata / "info" / "attributes").write_text(EXACT_ATTRIBUTES)
    git.output("index-pack", "--stdin", stdin=pack)
    commit = git.text("commit-tree", "-m", BRANCH, tree)
    git.output("-c", "core.logAllRefUpdates=false", "update-ref", f"refs/heads/{BRANCH}", commit)
    git.output("update-ref", f"refs/tags/{tag}", commit)
    git.output("read-tree", BRANCH)
    git.output("update-index", "-q", "--refresh")
