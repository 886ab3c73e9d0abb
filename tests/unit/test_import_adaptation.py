"""A test is adapted to an arm by rewriting those imports that are known to have moved, and nothing else."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.engine.import_adaptation import adapt_imports

BASE = {"swift": {"run"}, "swift.core": {"parse", "render"}, "swift.core.old": {"legacy"}}
ARM = {"swift": {"run"}, "swift.core": {"render"}, "swift.text": {"parse"}, "swift.text.old": {"legacy"}}


def test_an_import_whose_module_lost_the_name_comes_from_the_module_that_has_it():
    adapted = adapt_imports("from swift.core import parse\n", ARM, BASE)

    assert adapted.text == "from swift.text import parse\n"
    assert adapted.rewrites == {"swift.core.parse": "swift.text.parse"}


def test_a_statement_is_split_when_only_some_of_its_names_moved_and_aliases_stay():
    adapted = adapt_imports("if True: from swift.core import render, parse as p\n", ARM, BASE)

    assert adapted.text == "if True: from swift.core import render; from swift.text import parse as p\n"


def test_a_module_that_moved_is_followed():
    assert adapt_imports("from swift.core import old\n", ARM, BASE).text == "from swift.text import old\n"
    assert adapt_imports("import os, swift.core.old as o\n", ARM, BASE).text == "import os, swift.text.old as o\n"
    assert adapt_imports("from swift.core.old import legacy\n", ARM, BASE).text == "from swift.text.old import legacy\n"


def test_everything_else_stays_byte_for_byte():
    script = '\ufeff# é\r\nx = "日本"; from swift.core import (\r\n    parse,\r\n); y = 1\x0c\r\n\tpass_ = 2'.replace(
        "\t", ""
    )

    adapted = adapt_imports(script, ARM, BASE)

    assert adapted.text == script.replace("from swift.core import (\r\n    parse,\r\n)", "from swift.text import parse")


@pytest.mark.parametrize(
    "script",
    [
        "from swift import run\n",
        "from swift.core import unheard_of\n",
        "from swift.core import *\n",
        "from .core import parse\n",
        "import swift.core.old\n",
        "from os import path\n",
        "from swift.core import parse\n    broken(",
        "text = 'from swift.core import parse'\n",
        "null = '\0'\nfrom swift.core import parse\n",
        "",
    ],
    ids=[
        "still there",
        "known to no arm",
        "star",
        "relative",
        "bound by its full path",
        "not the project's",
        "syntax error",
        "in a string",
        "a null byte",
        "empty",
    ],
)
def test_what_is_not_known_to_have_moved_is_left_alone(script):
    adapted = adapt_imports(script, ARM, BASE)

    assert adapted.text == script
    assert adapted.rewrites == {}


def test_a_name_that_is_nowhere_stays_where_it_was_asked_for():
    assert adapt_imports("from a import f\n", {"a": set()}, {"a": {"f"}}).text == "from a import f\n"


@pytest.mark.parametrize(
    ("homes", "chosen"),
    [
        (["p._fast", "q.far"], "q.far"),
        (["q.m", "p.other"], "p.other"),
        (["p.new.deep", "p.new"], "p.new"),
        (["p.z", "p.b"], "p.b"),
    ],
    ids=["public before private", "nearest", "shortest", "first by alphabet"],
)
def test_of_several_homes_one_is_chosen_by_a_fixed_rule(homes, chosen):
    arm = {"p.old": set(), **{home: {"f"} for home in homes}}

    assert adapt_imports("from p.old import f", arm, {"p.old": {"f"}}).text == f"from {chosen} import f"


modules = st.sampled_from(["p", "p.a", "p.b", "p.a.c", "p._d"])
names = st.sampled_from(["f", "g", "h", "é"])
apis = st.dictionaries(modules, st.frozensets(names), min_size=1)
statements = st.one_of(
    st.builds("from {} import {}".format, modules, names),
    st.builds("from {} import {} as x, {}".format, modules, names, names),
    st.builds("from {} import (\n  {},  # why\n  {}\n)".format, modules, names, names),
    st.sampled_from(["x = 1", "'日本'", "# a comment", "if x:\n\tpass", "", "y = '''\n\x0c'''"]),
)
scripts = st.lists(statements, max_size=8).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: "".join(line + end for line in lines))
)


def imports_of(script: str) -> list[tuple[str, str]]:
    froms = [node for node in ast.walk(ast.parse(script)) if isinstance(node, ast.ImportFrom)]
    return [(node.module or "", alias.name) for node in froms for alias in node.names]


def has(api: dict[str, frozenset[str]], module: str, name: str) -> bool:
    return name in api.get(module, ()) or f"{module}.{name}" in api


@given(scripts, apis, apis)
def test_what_moved_is_found_and_the_rest_of_the_program_is_the_same(script, arm, base):
    adapted = adapt_imports(script, arm, base)

    for (module, name), (new_module, new_name) in zip(
        sorted(imports_of(script), key=lambda pair: pair[1]),
        sorted(imports_of(adapted.text), key=lambda pair: pair[1]),
        strict=True,
    ):
        assert name == new_name
        assert has(arm, new_module, new_name) or not (
            has(base, module, name) and any(name in api for api in arm.values())
        )
    others = [ast.dump(node) for node in ast.parse(script).body if not isinstance(node, ast.ImportFrom)]
    assert [ast.dump(node) for node in ast.parse(adapted.text).body if not isinstance(node, ast.ImportFrom)] == others


@given(scripts, apis, apis)
def test_adapting_twice_is_adapting_once(script, arm, base):
    once = adapt_imports(script, arm, base).text

    assert adapt_imports(once, arm, base).text == once


@given(st.text(), apis, apis)
def test_no_text_is_refused(script, arm, base):
    assert adapt_imports(script, arm, base).text == script


@given(scripts, apis)
def test_an_arm_that_has_everything_needs_no_adaptation(script, arm):
    assert adapt_imports(script, arm, arm).text == script
