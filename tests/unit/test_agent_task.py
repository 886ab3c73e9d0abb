"""What an agent is told: targets of the human change, nothing of its content, and what it is expected to cost."""

from decimal import Decimal

import pytest

from isobench.engine.agent_task import (
    branch_of,
    brief_of,
    efficiency_test_name,
    estimate_usd,
    import_roots,
    is_source,
    prompt_of,
    targets_of,
    without_comments,
)
from isobench.engine.leaks import HumanChange, added_lines, refuse_leaks
from isobench.engine.money import Prices

PATCH = """diff --git a/src/pkg/slow.py b/src/pkg/slow.py
index 1..2 100644
--- a/src/pkg/slow.py
+++ b/src/pkg/slow.py
@@ -1 +1 @@
-for i in range(n): pass
--- a/not/a/header.py
+cached = lookup_table_of_the_human[i]
diff --git a/src/pkg/table.py b/src/pkg/table.py
new file mode 100644
--- /dev/null
+++ b/src/pkg/table.py
@@ -0,0 +1 @@
+lookup_table_of_the_human = {}
diff --git "a/src/pkg/sp ace.pyx" "b/src/pkg/sp ace.pyx"
--- "a/src/pkg/sp ace.pyx"
+++ "b/src/pkg/sp ace.pyx"
@@ -1 +1 @@
-a
+b
diff --git a/tests/test_slow.py b/tests/test_slow.py
--- a/tests/test_slow.py
+++ b/tests/test_slow.py
@@ -1 +1 @@
-a
+b
diff --git a/src/pkg/old.c b/src/pkg/old.c
deleted file mode 100644
--- a/src/pkg/old.c
+++ /dev/null
@@ -1 +0,0 @@
-a
diff --git a/data.bin b/data.bin
Binary files a/data.bin and b/data.bin differ
"""


def everything(path):
    return True


def test_targets_are_the_source_files_of_base_that_the_human_changed():
    assert targets_of(PATCH, everything) == ("src/pkg/slow.py", "src/pkg/sp ace.pyx", "src/pkg/old.c")


def test_a_target_that_base_lacks_would_tell_what_the_human_added():
    assert targets_of(PATCH, lambda path: path != "src/pkg/slow.py") == ("src/pkg/sp ace.pyx", "src/pkg/old.c")


@pytest.mark.parametrize("path", ["pkg/core.py", "src/_impl.pyx", "src/heap.pxi.in", "lib/fast.c", "templates/x.jinja"])
def test_code_is_source(path):
    assert is_source(path)


@pytest.mark.parametrize(
    "path",
    [
        *("tests/data.py", "pkg/test_core.py", "pkg/core_test.py", "pkg/conftest.py", "pkg/tests/x.py"),
        *("docs/conf.py", "README.md", "CHANGES.rst", "benchmarks/b.py", "examples/e.py", ".github/x.py"),
        *("setup.py", "pyproject.toml", "setup.cfg", "Makefile", "MANIFEST.in", "requirements/dev.in"),
    ],
)
def test_tests_docs_and_what_builds_are_no_source(path):
    assert not is_source(path)


def test_the_prompt_holds_the_task_and_nothing_of_the_human_change():
    brief = brief_of("pkg", ["src/pkg/slow.py"], ["Stay pure Python."], "wall time")
    prompt = prompt_of(brief, "efficiency_test.py", minutes=12.5, iterations=40)
    for told in ("src/pkg/slow.py", "python efficiency_test.py", "Stay pure Python.", "40 steps", "12.5 minutes"):
        assert told in prompt
    refuse_leaks(prompt, HumanChange("ab" * 20, "Look it up in a table", None, added_lines(PATCH)))


def test_a_worktree_that_has_such_a_file_gets_the_test_under_another_name():
    assert efficiency_test_name(lambda path: False) == "efficiency_test.py"
    assert efficiency_test_name(lambda path: path == "efficiency_test.py") == "isobench_efficiency_test.py"


def test_the_branch_names_task_and_epoch():
    assert branch_of("Optimize: More-Itertools!", 1_700_000_000) == "agent/optimize-more-itertools/1700000000"


def test_comments_go_and_everything_else_stays_where_it_was():
    script = "# why\nx = '# no comment'  # but this\n\n\ndef f():\n    # inside\n    return 1  # é\n"
    assert without_comments(script) == "\nx = '# no comment'\n\n\ndef f():\n\n    return 1\n"


@pytest.mark.parametrize(
    ("targets", "roots"),
    [
        (["src/pkg/inner/a.py"], ("src",)),
        (["pkg/a.py", "pkg/b.py"], (".",)),
        (["single.py"], (".",)),
        (["src/pkg/a.py", "other/b.py", "c.pyx"], ("src", "other")),
    ],
)
def test_packages_are_imported_from_the_folder_above_them(targets, roots):
    packages = {"src/pkg/__init__.py", "src/pkg/inner/__init__.py", "pkg/__init__.py"}
    assert import_roots(targets, packages.__contains__) == roots


def test_the_estimate_grows_with_the_steps_and_never_passes_the_cap():
    prices = Prices(Decimal(2), Decimal(8), Decimal("0.5"))
    few, many = (estimate_usd(prices, "task " * 100, steps, 100.0) for steps in (4, 40))
    assert 0 < few < many < 100
    assert estimate_usd(prices, "task", 400, 0.25) == 0.25
