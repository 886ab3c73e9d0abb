"""Of a person's environment a build sees what it needs to reach the registry, and nothing more."""

from pathlib import Path

from isobench.adapters.python.build_variables import build_variables, package_sources, version_variables
from isobench.engine.project_metadata import Project

PERSON = {
    "PATH": "/own/bin:/usr/bin",
    "LANG": "C.UTF-8",
    "https_proxy": "http://127.0.0.1:1",
    "SSL_CERT_FILE": "/ca.pem",
    "PIP_INDEX_URL": "http://127.0.0.1:2/simple",
    "HOME": "/home/somebody",
    "VIRTUAL_ENV": "/own",
    "PYTHONPATH": "/somewhere",
    "CFLAGS": "-O0",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "UV_PUBLISH_TOKEN": "secret",
    "UV_INDEX_PRIVATE_PASSWORD": "secret",
}


def test_only_listed_variables_pass(tmp_path):
    variables = build_variables(PERSON, tmp_path, tmp_path / "scratch", Path("/own/bin/python"))

    assert variables["LANG"] == "C.UTF-8"
    assert variables["https_proxy"] == "http://127.0.0.1:1"
    assert variables["SSL_CERT_FILE"] == "/ca.pem"
    assert not {"VIRTUAL_ENV", "PYTHONPATH", "CFLAGS"} & set(variables)
    assert "secret" not in variables.values()


def test_isobenchs_own_programs_are_not_on_path(tmp_path):
    assert build_variables(PERSON, tmp_path, tmp_path / "scratch", Path("/own/bin/python"))["PATH"] == "/usr/bin"


def test_every_folder_is_in_the_work_root(tmp_path):
    variables = build_variables(PERSON, tmp_path, tmp_path / "scratch", Path("/own/bin/python"))

    for name in ("HOME", "TMPDIR", "UV_CACHE_DIR", "PIP_CACHE_DIR"):
        assert Path(variables[name]).is_relative_to(tmp_path)
    assert Path(variables["HOME"]).is_dir()


def test_uv_is_told_pips_index_unless_it_has_its_own(tmp_path):
    own = PERSON | {"UV_DEFAULT_INDEX": "http://127.0.0.1:3/simple"}

    for person, index in ((PERSON, "http://127.0.0.1:2/simple"), (own, "http://127.0.0.1:3/simple")):
        variables = build_variables(person, tmp_path, tmp_path / "scratch", Path("/own/bin/python"))
        assert variables["UV_DEFAULT_INDEX"] == index


def test_what_decides_where_packages_come_from_is_known():
    assert package_sources(PERSON) == {"PIP_INDEX_URL": "http://127.0.0.1:2/simple"}


def test_the_version_is_told_to_every_tool_and_for_the_project_by_its_name():
    variables = version_variables("1.2.dev3", Project(name="my-swift.thing"), "repository")

    assert variables["SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_SWIFT_THING"] == "1.2.dev3"
    assert set(variables.values()) == {"1.2.dev3"}
    assert {"SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION", "PDM_BUILD_SCM_VERSION"} <= set(variables)


def test_a_project_without_a_name_goes_by_its_repositorys():
    assert "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SWIFT" in version_variables("1", Project(), "swift")
