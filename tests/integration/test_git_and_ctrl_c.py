"""Ctrl-C while git is being started: the terminal's signal meets a child that has no session of its own yet."""

import shutil

from building.repositories import RepositoryBuilder
from isobench.adapters.git.command import Git

INTERRUPTED_ONCE = """#!/bin/sh
if mkdir "$0.started" 2>/dev/null; then kill -INT $$; fi
exec {git} "$@"
"""


def test_a_git_that_ctrl_c_ended_before_it_did_anything_is_started_again(tmp_path):
    repository = RepositoryBuilder(tmp_path / "repository").commits(1)
    program = tmp_path / "git"
    program.write_text(INTERRUPTED_ONCE.format(git=shutil.which("git")))
    program.chmod(0o755)
    interrupted = Git(repository.path, command=(str(program),))
    assert interrupted.text("rev-parse", "HEAD") == repository.head
    assert (tmp_path / "git.started").exists(), "it was ended once"
