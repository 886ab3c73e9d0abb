"""`isobench publish`: shows what would change, sends it when told to, and says in one sentence what is in the way."""

import json

import pytest

from building.command_line import CommandLine
from building.items import heads, record
from hubserver import READ_TOKEN, WRITE_TOKEN, running_hub

REPOSITORY = "lab/fast-commits"


@pytest.fixture
def hub():
    with running_hub() as server:
        yield server


@pytest.fixture
def publish(tmp_path, hub, monkeypatch, capsys):
    """The command in a folder with a dataset of two records, and variables that name the hub and its token."""
    line = CommandLine(tmp_path, monkeypatch, capsys)
    line.write("data/demo.jsonl", lines(*heads(2)))
    line.variables({"HF_TOKEN": WRITE_TOKEN, "HF_ENDPOINT": hub.endpoint})

    def command(*arguments, **variables):
        line.variables(variables)
        return line("publish", *arguments)

    command.write = line.write
    return command


def lines(*commits, **fields):
    return "".join(json.dumps(record(head, **fields).row()) + "\n" for head in commits)


def names(*commits):
    return [f"owner__name-{head[:7]}" for head in commits]


def assert_refused(answer, code, *words):
    """One sentence on stderr that says ``words``, and nothing else."""
    assert answer.code == code, answer.err
    (sentence,) = answer.err.splitlines()
    assert answer.out == ""
    for word in words:
        assert word in sentence


@pytest.mark.slow
def test_without_yes_it_shows_what_would_change_and_changes_nothing(publish, hub):
    answer = publish("data/demo.jsonl", "--repo", REPOSITORY)
    assert answer.code == 0, answer.err
    added = [f"added: {name}" for name in names(*heads(2))]
    total = "2 added, 0 replaced, 0 unchanged: would be sent; give --yes to send"
    assert answer.out.splitlines() == [*added, total]
    assert hub.writes == []
    assert hub.storage.repositories == {}


@pytest.mark.slow
def test_yes_sends_what_is_new_and_says_where_it_is(publish, hub):
    sent = publish("data/demo.jsonl", "--repo", REPOSITORY, "--yes")
    assert sent.code == 0, sent.err
    *_, total, address = sent.out.splitlines()
    assert total == "2 added, 0 replaced, 0 unchanged: sent"
    assert address.endswith(f"/commit/{hub.repository(REPOSITORY).head.oid}")
    assert hub.repository(REPOSITORY).private
    publish.write("data/demo.jsonl", lines(heads(3)[0]) + lines(heads(3)[1], api="swift.total") + lines(heads(3)[2]))
    seen = publish("data/demo.jsonl", "--repo", REPOSITORY, "--json")
    assert json.loads(seen.out) == {
        "sent": False, "added": 1, "replaced": 1, "unchanged": 1, "existing": 2, "total": 3, "commit": None,
    }  # fmt: skip
    assert WRITE_TOKEN not in sent.out + sent.err + seen.out + seen.err


@pytest.mark.slow
def test_the_configuration_says_where_to_and_a_flag_makes_it_public(publish, hub):
    publish.write("config/main_openai.toml", f'[publish]\nhf_repo = "{REPOSITORY}"\nmin_records = 2\n')
    publish.write("config/.env", f"HF_TOKEN={WRITE_TOKEN}\n")
    answer = publish("data/demo.jsonl", "--public", "--yes", "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert (told["sent"], told["added"], told["total"]) == (True, 2, 2)
    assert told["commit"].endswith(hub.repository(REPOSITORY).head.oid)
    assert not hub.repository(REPOSITORY).private


@pytest.mark.parametrize("flags", [(), ("--yes",)])
def test_without_a_token_its_variable_is_named_and_the_hub_asked_nothing(publish, hub, flags):
    refused = publish("data/demo.jsonl", "--repo", REPOSITORY, *flags, HF_TOKEN="")
    assert_refused(refused, 1, "set the variable HF_TOKEN")
    assert hub.wire.log == []


@pytest.mark.slow
def test_a_token_that_may_not_write_is_refused_by_its_variable_and_never_shown(publish, hub):
    refused = publish("data/demo.jsonl", "--repo", REPOSITORY, "--yes", HF_TOKEN=READ_TOKEN)
    assert_refused(refused, 1, "HF_TOKEN", "403", "write access")
    assert READ_TOKEN not in refused.err
    assert hub.storage.repositories == {}


def test_fewer_records_than_are_wanted_are_not_sent(publish, hub):
    assert_refused(
        publish("data/demo.jsonl", "--repo", REPOSITORY, "--min-records", "3", "--yes"),
        2,
        "publish.min_records: 3 is more than the 2 records there are",
    )
    publish.write("config/main_openai.toml", "[publish]\nmin_records = 4\n")
    assert_refused(publish("data/demo.jsonl", "--repo", REPOSITORY, "--yes"), 2, "4 is more than the 2 records")
    assert hub.wire.log == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("data/none.jsonl", "--repo", REPOSITORY), "data/none.jsonl: there is no such dataset; `isobench run` writes"),
        (("data", "--repo", REPOSITORY), "data: there is no such dataset"),
        (("data/demo.jsonl",), "--repo: is missing, and [publish] hf_repo is not configured"),
        (("data/demo.jsonl", "--repo", "a/b/c"), "'a/b/c' names no dataset repository; write owner/name"),
    ],
)
def test_what_can_not_be_published_is_said_before_the_hub_is_asked(publish, hub, arguments, said):
    assert_refused(publish(*arguments, "--yes"), 2, said)
    assert hub.wire.log == []


@pytest.mark.parametrize("line", ["{", "[]", '{"repo": "owner/name"}', "\x00"])
def test_a_line_that_is_no_record_is_named_and_nothing_sent(publish, hub, line):
    publish.write("data/demo.jsonl", lines(heads(1)[0]) + line + "\n")
    assert_refused(publish("data/demo.jsonl", "--repo", REPOSITORY, "--yes"), 2, "line 2 is not a record; mend or")
    assert hub.wire.log == []
