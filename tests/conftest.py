"""What several tests share: hypothesis without deadlines (time nothing in tests), and a work root of one test's own."""

import pytest
from hypothesis import settings

from isobench.local.work_root import WorkRoot

settings.register_profile("isobench", deadline=None)
settings.load_profile("isobench")


@pytest.fixture
def work_root(tmp_path, monkeypatch):
    """A work root that is ready for a run; creating one redirects this process's temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    root = WorkRoot(tmp_path / "work")
    root.create()
    return root
