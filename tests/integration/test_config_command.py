"""`isobench config show`: which file is read, which source wins, that keys are never shown, and bad files."""

import json
import os

import pytest

from building.command_line import CommandLine
from isobench.adapters.configuration_files import load_configuration

OPENAI = """
[llm]
provider = "openai"
model = "gpt-4.1"
base_url = "https://api.example/v1"
api_key_env = "OPENAI_API_KEY"

[timing]
min_pairs = 20
"""
KEY = "sk-proj-0123456789"


@pytest.fixture
def isobench(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return CommandLine(tmp_path, monkeypatch, capsys)


def shown(isobench, *arguments):
    answer = isobench("config", "show", "--json", *arguments)
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def setting(isobench, key, *arguments):
    found = shown(isobench, *arguments)["settings"][key]
    return found["value"], found["source"]


def refusal(isobench, *arguments):
    """The one sentence that a person gets."""
    answer = isobench("config", "show", *arguments)
    assert answer.code == 2
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    return line


def test_without_any_file_everything_is_as_by_default(isobench):
    settings = shown(isobench)["settings"]
    assert {entry["source"] for entry in settings.values()} == {"default"}
    assert settings["paths.work_root"]["value"] == ".work"


def test_the_default_providers_file_is_read_where_it_is(isobench):
    isobench.write("config/main_openai.toml", OPENAI)
    assert setting(isobench, "timing.min_pairs") == (20, "config/main_openai.toml")


def test_a_variable_wins_over_the_file_and_says_so(isobench):
    isobench.write("config/main_openai.toml", OPENAI)
    isobench.variables({"ISOBENCH_TIMING_MIN_PAIRS": "30"})
    assert setting(isobench, "timing.min_pairs") == (30, "environment ISOBENCH_TIMING_MIN_PAIRS")


def test_the_file_is_chosen_by_flag_before_variable_before_default(isobench):
    for name in ("config/main_openai.toml", "one.toml", "two.toml"):
        isobench.write(name, f'[output]\ndataset_name = "{name}"\n')
    isobench.variables({"ISOBENCH_CONFIG": "one.toml"})
    assert setting(isobench, "output.dataset_name") == ("one.toml", "one.toml")
    assert setting(isobench, "output.dataset_name", "--config", "two.toml") == ("two.toml", "two.toml")
    assert setting(isobench, "output.dataset_name", "--provider", "openai")[0] == "config/main_openai.toml"


def test_the_table_shows_value_and_source(isobench):
    isobench.write("config/main_openai.toml", OPENAI)
    lines = isobench("config", "show").out.splitlines()
    (row,) = [line.split() for line in lines if "timing.min_pairs" in line]
    assert row == ["timing.min_pairs", "20", "config/main_openai.toml"]


@pytest.mark.parametrize("where", ["in the environment", "in .env"])
def test_a_key_is_present_and_never_shown(isobench, where):
    isobench.write("config/main_openai.toml", OPENAI)
    if where == "in .env":
        isobench.write("config/.env", f"OPENAI_API_KEY='{KEY}'\n")
    else:
        isobench.variables({"OPENAI_API_KEY": KEY})
    for arguments in ((), ("--json",)):
        answer = isobench("config", "show", *arguments)
        assert KEY not in answer.out + answer.err
    assert shown(isobench)["keys"] == {"OPENAI_API_KEY": "present", "HF_TOKEN": "absent"}


def test_what_env_holds_does_not_reach_this_process_and_its_children(isobench):
    isobench.write("config/main_openai.toml", OPENAI)
    isobench.write("config/.env", f"OPENAI_API_KEY={KEY}\n")
    shown(isobench)
    assert "OPENAI_API_KEY" not in os.environ


def test_a_key_is_taken_as_it_stands_and_the_environments_wins(isobench):
    isobench.write("config/main_openai.toml", OPENAI)
    isobench.write("config/.env", "OPENAI_API_KEY=a${HOME}b\nHF_TOKEN=from-file\n")
    loaded = load_configuration({"HF_TOKEN": "from-environment", "HOME": "/home/me"}, {})
    assert loaded.variables["OPENAI_API_KEY"] == "a${HOME}b"
    assert loaded.variables["HF_TOKEN"] == "from-environment"
    assert "a${HOME}b" not in repr(loaded)


def test_an_empty_key_is_absent(isobench):
    isobench.write("config/main_openai.toml", OPENAI)
    isobench.write("config/.env", "OPENAI_API_KEY=\n")
    assert shown(isobench)["keys"]["OPENAI_API_KEY"] == "absent"


def test_credentials_in_addresses_are_masked(isobench):
    isobench.write("config/main_openai.toml", '[repository]\nurl = "https://me:s3cret@git.example/a/b"\n')
    isobench.variables({"ISOBENCH_ENVIRONMENT_INSTALL_COMMANDS": '["pip install -i https://t0ken@index.example x"]'})
    for arguments in ((), ("--json",)):
        answer = isobench("config", "show", *arguments)
        assert "s3cret" not in answer.out
        assert "t0ken" not in answer.out
        assert "https://***@git.example/a/b" in answer.out


def test_settings_do_not_belong_into_env(isobench):
    isobench.write("config/main_openai.toml", OPENAI)
    isobench.write("config/.env", "ISOBENCH_TIMING_CORES=2\n")
    assert "config/.env: holds ISOBENCH_TIMING_CORES; it is for keys only" in refusal(isobench)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[llm\nmodel = 1", "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 5)"),
        ("[llm]\nmodel == 'x'", "(at line 2, column 8)"),
        ("[llm]\nmodle = 'x'", "llm.modle: no such key; did you mean 'model'?"),
        ("[timing]\nmin_pairs = 'many'", "timing.min_pairs: input should be a valid integer"),
        ("[timing]\nmin_pairs = 3", "timing.min_pairs: input should be greater than or equal to 8 (got 3)"),
        ("timing = 3", "timing: "),
        (b"\xff\xfe[\x00l\x00", "is not UTF-8 text; save it as UTF-8"),
        (b"[llm]\nmodel = '\xe9'", "is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_it(isobench, content, said):
    isobench.write("bad.toml", content)
    line = refusal(isobench, "--config", "bad.toml")
    assert line.startswith("isobench: bad.toml: ")
    assert said in line


def test_a_missing_file_is_one_sentence(isobench):
    assert "nope.toml: can't be read (No such file or directory)" in refusal(isobench, "--config", "nope.toml")


def test_a_folder_in_place_of_the_file_is_one_sentence(isobench):
    isobench.write("config/x", "")
    assert "config: can't be read (Is a directory)" in refusal(isobench, "--config", "config")


def test_an_unknown_provider_is_answered_with_the_known_ones(isobench):
    isobench.write("config/main_openai.toml", "")
    isobench.write("config/main_local.toml", "")
    assert "'opnai' is not known here (known: local, openai)" in refusal(isobench, "--provider", "opnai")


def test_an_unknown_provider_without_any_file_says_where_they_belong(isobench):
    assert "there is no config/main_<provider>.toml here" in refusal(isobench, "--provider", "openai")


def test_a_file_and_a_provider_together_are_refused(isobench):
    isobench.write("config/main_openai.toml", "")
    isobench.write("one.toml", "")
    assert "give one of them" in refusal(isobench, "--config", "one.toml", "--provider", "openai")


def test_a_mistyped_variable_is_refused(isobench):
    isobench.variables({"ISOBENCH_TIMING_MIN_PAIR": "30"})
    assert "did you mean ISOBENCH_TIMING_MIN_PAIRS?" in refusal(isobench)


LEGACY = "repo_path: /home/me/project\nllm_provider: anthropic\nllm_model: model-1\nnotes: as ever\n"


def test_the_legacy_file_is_read_over_its_providers_with_a_notice(isobench):
    isobench.write("commit_to_dataset.yaml", LEGACY)
    isobench.write("config/main_openai.toml", OPENAI)
    isobench.write("config/main_anthropic.toml", '[llm]\nprovider = "anthropic"\nbase_url = "https://other.example"\n')
    answer = isobench("config", "show", "--json")
    settings = json.loads(answer.out)["settings"]
    assert settings["llm.model"] == {"value": "model-1", "source": "legacy commit_to_dataset.yaml"}
    assert settings["llm.base_url"] == {"value": "https://other.example", "source": "config/main_anthropic.toml"}
    (notice,) = answer.err.splitlines()
    assert "commit_to_dataset.yaml is a legacy configuration and is still read" in notice
    assert "repo_path = repository.url" in notice


def test_the_legacy_file_is_found_by_its_old_variable(isobench):
    isobench.write("old/batch.yml", "dataset_name: set\n")
    isobench.variables({"ISO_BENCH_CONFIG": "old/batch.yml"})
    assert setting(isobench, "output.dataset_name") == ("set", "legacy batch.yml")


def test_the_legacy_folders_count_where_they_are(isobench):
    isobench.write("commit_to_dataset.yaml", "repo_path: x\n")
    isobench.write("misc/experiments/generated_test_generators_v4/x", "")
    folder, source = setting(isobench, "paths.tests_dir")
    assert folder == "misc/experiments/generated_test_generators_v4"
    assert source == "legacy commit_to_dataset.yaml's default"
    assert setting(isobench, "paths.extractions_dir") == (None, "default")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("repo_path: [", "old.yaml: is not YAML"),
        ("- a\n- b", "legacy old.yaml: must be a table of keys and values"),
        ("repo_pth: x", "legacy old.yaml: repo_pth: no such key; did you mean 'repo_path'?"),
        ("llm_provider: bedrock", "'bedrock' is not known here"),
        (b"\xff\xfe", "old.yaml: is not UTF-8 text"),
    ],
)
def test_a_bad_legacy_file_is_one_sentence(isobench, content, said):
    isobench.write("old.yaml", content)
    assert said in refusal(isobench, "--config", "old.yaml")
