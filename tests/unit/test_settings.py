"""Settings: which of several sources wins, where each value is said to come from, and what a person's mistakes are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.engine.legacy import NEW_KEYS, layer_of_legacy, notice
from isobench.engine.settings import (
    DEFAULT,
    Given,
    layer_of_environment,
    layer_of_file,
    merge,
    variables,
)

MIN_PAIRS = ("timing", "min_pairs")
TOML = "config/main_openai.toml"


def refused(*layers) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        merge(*layers)
    return caught.value


@given(st.tuples(*[st.none() | st.integers(8, 100)] * 3))
def test_a_flag_wins_over_a_variable_a_variable_over_the_file_and_the_file_over_the_default(values):
    names = [TOML, "environment ISOBENCH_TIMING_MIN_PAIRS", "flag --min-pairs"]
    layers = [
        {} if value is None else {MIN_PAIRS: Given(value, name)} for value, name in zip(values, names, strict=True)
    ]
    settings = merge(*layers)
    written = [(value, name) for value, name in zip(values, names, strict=True) if value is not None]
    expected = written[-1] if written else (10, DEFAULT)
    assert (settings.configuration.timing.min_pairs, settings.sources["timing.min_pairs"]) == expected


def test_without_sources_everything_is_as_by_default():
    settings = merge()
    assert settings.configuration == Configuration()
    assert set(settings.sources.values()) == {DEFAULT}


def test_layers_are_merged_key_by_key():
    file = layer_of_file(
        {"timing": {"min_pairs": 20, "max_pairs": 40}, "pricing": {"gpt-4.1": {"input": 2, "output": 8}}}, TOML
    )
    settings = merge(file, {MIN_PAIRS: Given(30, "flag --min-pairs")})
    assert (settings.configuration.timing.min_pairs, settings.configuration.timing.max_pairs) == (30, 40)
    assert settings.sources["timing.max_pairs"] == TOML
    assert settings.sources["pricing.gpt-4.1.input"] == TOML
    assert settings.sources["pricing.gpt-4.1.cached"] == DEFAULT


def test_the_rows_show_every_setting_once_with_value_and_source():
    rows = list(merge(layer_of_file({"paths": {"work_root": "w"}}, TOML)).rows())
    assert ("paths.work_root", "w", TOML) in rows
    assert ("agent.secret_ref", None, DEFAULT) in rows
    assert len({key for key, _, _ in rows}) == len(rows)


def test_every_setting_but_prices_has_a_variable_of_its_own():
    known = variables()
    paths = [path for path, _ in known.values()]
    assert len(set(paths)) == len(paths)
    assert {path[0] for path in paths} == set(Configuration.model_fields) - {"pricing"}
    assert known["ISOBENCH_LLM_MODEL"] == (("llm", "model"), False)
    assert known["ISOBENCH_WORK_ROOT"] == (("paths", "work_root"), False)
    assert known["ISOBENCH_AGENT_SECRET_REF_NAME"] == (("agent", "secret_ref", "name"), False)
    assert known["ISOBENCH_ENVIRONMENT_INSTALL_COMMANDS"] == (("environment", "install_commands"), True)


def test_variables_are_read_as_the_settings_types():
    settings = merge(
        layer_of_environment(
            {
                "ISOBENCH_TIMING_MAX_PAIRS": "30",
                "ISOBENCH_TIMING_MARGIN": "0.05",
                "ISOBENCH_PUBLISH_PUSH_TO_HF": "true",
                "ISOBENCH_ENVIRONMENT_INSTALL_COMMANDS": '["pip install ."]',
                "ISOBENCH_TIMING_NODE_SELECTOR": '{"disk": "ssd"}',
                "ISOBENCH_LLM_BASE_URL": "",
                "ISOBENCH_SERVICE_HOST": "what a cluster sets for a service",
                "PATH": "/bin",
            }
        )
    )
    assert settings.configuration.timing.max_pairs == 30
    assert settings.configuration.timing.margin == 0.05
    assert settings.configuration.publish.push_to_hf is True
    assert settings.configuration.environment.install_commands == ["pip install ."]
    assert settings.configuration.timing.node_selector == {"disk": "ssd"}
    assert settings.sources["llm.base_url"] == DEFAULT
    assert settings.sources["timing.max_pairs"] == "environment ISOBENCH_TIMING_MAX_PAIRS"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ISOBENCH_LLM_MODLE", "m", "did you mean ISOBENCH_LLM_MODEL?"),
        ("ISOBENCH_PATHS_WORK_ROOT", "w", "did you mean ISOBENCH_WORK_ROOT?"),
        ("ISOBENCH_ENVIRONMENT_SETUP_COMMANDS", "apt install x", 'write a list as ["a", "b"]'),
    ],
)
def test_a_variable_that_names_no_setting_or_holds_no_json_is_refused(name, value, said):
    with pytest.raises(InvalidInput) as caught:
        layer_of_environment({name: value})
    assert name in str(caught.value)
    assert said in str(caught.value)


def test_an_unknown_key_is_said_of_its_file_with_the_nearest_known_name():
    error = refused(
        layer_of_file({"timing": {"min_pair": 20}}, TOML), layer_of_environment({"ISOBENCH_LLM_MODEL": "m"})
    )
    assert error.source == TOML
    assert error.problems == ("timing.min_pair: no such key; did you mean 'min_pairs'?",)


def test_an_unknown_section_is_refused_even_when_it_is_empty():
    assert "did you mean 'timing'?" in str(refused(layer_of_file({"timng": {}}, TOML)))


def test_a_wrong_type_is_said_of_the_source_that_won():
    error = refused(
        layer_of_file({"timing": {"min_pairs": 20}}, TOML), layer_of_environment({"ISOBENCH_TIMING_MIN_PAIRS": "many"})
    )
    assert error.source == "environment ISOBENCH_TIMING_MIN_PAIRS"
    assert "'many'" in error.problems[0]


def test_problems_of_several_sources_name_each():
    error = refused(layer_of_file({"timing": {"cores": "two"}}, TOML), {MIN_PAIRS: Given("x", "flag --min-pairs")})
    assert len(error.problems) == 2
    assert any(problem.endswith(f"({TOML})") for problem in error.problems)
    assert any(problem.endswith("(flag --min-pairs)") for problem in error.problems)


def test_values_that_contradict_each_other_are_said_of_both_places():
    error = refused(
        layer_of_file({"timing": {"max_pairs": 12}}, TOML), layer_of_environment({"ISOBENCH_TIMING_MIN_PAIRS": "20"})
    )
    assert error.source == f"{TOML}, environment ISOBENCH_TIMING_MIN_PAIRS"


def test_a_value_where_a_table_belongs_is_refused():
    both = [layer_of_file({"timing": "fast"}, TOML), layer_of_environment({"ISOBENCH_TIMING_MIN_PAIRS": "20"})]
    assert refused(*both).source == TOML


def test_a_key_in_the_place_of_its_variables_name_is_refused_and_not_repeated():
    error = refused(layer_of_file({"llm": {"api_key_env": "sk-proj-0123"}}, TOML))
    assert "the key itself belongs into `.env`" in str(error)
    assert "0123" not in str(error)


def test_a_key_under_a_name_of_its_own_is_refused_and_not_repeated():
    error = refused(layer_of_file({"llm": {"api_key": "sk-proj-0123"}}, TOML))
    assert error.problems == ("llm.api_key: no such key; did you mean 'api_key_env'?",)


def test_variables_are_not_shown_where_settings_are():
    assert "variables" not in repr(merge())


LEGACY = {
    "repo_path": "/home/me/project",
    "extractions_dir": "extractions",
    "use_docker": True,
    "docker_image": "me/image:latest",
    "hf_repo": "me/set",
    "push_to_hf": True,
    "dataset_name": "set",
    "setup_commands": ["apt list"],
    "install_commands": ["pip install ."],
    "api": "project.call",
    "notes": "read and left out, as ever",
    "llm_provider": "anthropic",
    "llm_model": "model-1",
    "llm_temperature": 0.1,
    "llm_max_tokens": 65536,
}


def test_every_legacy_key_has_its_new_place():
    settings = merge(layer_of_legacy(LEGACY, "old.yaml"))
    rows = {key: value for key, value, source in settings.rows() if source == "legacy old.yaml"}
    assert rows == {
        "repository.url": "/home/me/project",
        "paths.extractions_dir": "extractions",
        "environment.image": "me/image:latest",
        "environment.setup_commands": ["apt list"],
        "environment.install_commands": ["pip install ."],
        "publish.hf_repo": "me/set",
        "publish.push_to_hf": True,
        "output.dataset_name": "set",
        "output.api": "project.call",
        "llm.provider": "anthropic",
        "llm.model": "model-1",
        "llm.temperature": 0.1,
        "llm.max_tokens": 65536,
    }


def test_a_legacy_image_counts_only_with_containers_switched_on():
    layer = layer_of_legacy({"use_docker": False, "docker_image": "me/image"}, "old.yaml")
    assert merge(layer).configuration.environment.image is None


@given(st.sets(st.sampled_from(sorted(NEW_KEYS))))
def test_the_notice_names_exactly_the_keys_in_use(keys):
    said = notice(layer_of_legacy({key: LEGACY[key] for key in keys} | {"use_docker": True}, "old.yaml"), "old.yaml")
    assert {key for key in NEW_KEYS if f"{key} = " in said} == keys


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["repo_path"], "must be a table of keys and values"),
        (None, "must be a table of keys and values"),
        ({"repo_pat": "x"}, "repo_pat: no such key; did you mean 'repo_path'?"),
        ({"openai_token": "sk-0123"}, "openai_token: no such key; known keys are api, "),
        ({1: "x"}, "1: no such key"),
        ({"use_docker": "perhaps"}, "use_docker: must be true or false"),
    ],
)
def test_a_legacy_file_that_is_not_one_is_refused(values, said):
    with pytest.raises(InvalidInput) as caught:
        layer_of_legacy(values, "old.yaml")
    assert caught.value.source == "legacy old.yaml"
    assert said in str(caught.value)
    assert "0123" not in str(caught.value)


def test_a_legacy_value_of_a_wrong_type_is_said_of_the_legacy_file():
    error = refused(layer_of_legacy({"push_to_hf": "perhaps"}, "old.yaml"))
    assert error.source == "legacy old.yaml"
