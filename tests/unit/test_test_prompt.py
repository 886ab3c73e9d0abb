"""The question to a model and the script in its answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.contracts.configuration import LlmSection, Price
from isobench.contracts.extraction import Extraction
from isobench.contracts.prepared import CommitSummary
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.generation import estimated_tokens, first_question, preview, told_of
from isobench.engine.money import Prices
from isobench.engine.test_prompt import (
    FEEDBACK_BYTES,
    PROTOCOL_NAMES,
    Message,
    check_syntax,
    cut,
    question,
    repair,
    script_in,
    without_comments,
)

HEAD = "0123456789abcdef0123456789abcdef01234567"
SCRIPT = 'import json\nprint(json.dumps({"avg_ms": 1.5, "iterations": 3, "result_sha256": "ab", "seed": 1}))\n'


def extraction(**known: object) -> Extraction:
    return Extraction.model_validate({"commit_hash": HEAD, **known})


def test_the_whole_extraction_is_in_the_question_unknown_keys_too() -> None:
    known = extraction(
        commit_subject="Faster ü", diff_text="+ x = 1\n", timeline_text="said on the list", stats={"n": 3}
    )
    told = question(known, 100_000)[-1].content
    for text in (HEAD, "Faster ü", "+ x = 1", "said on the list", '"n": 3'):
        assert text in told


def test_somebody_elses_path_is_not_told() -> None:
    assert "/home/someone" not in question(extraction(repo_path="/home/someone/repo"), 100_000)[-1].content


def test_the_question_names_every_key_of_the_protocol() -> None:
    told = question(extraction(), 100_000)[-1].content
    assert all(f'"{name}"' in told for name in PROTOCOL_NAMES)


def test_what_is_too_large_is_cut_in_its_longest_texts_and_small_ones_stay_whole() -> None:
    known = extraction(commit_subject="the subject", diff_text="first" + "d" * 2_000_000 + "last")
    told = question(known, 20_000)[-1].content
    assert len(told.encode()) < 25_000
    assert "the subject" in told
    assert "first" in told
    assert "last" in told
    assert "2000009 bytes, cut to" in told


def test_an_extraction_of_many_small_values_is_bounded_too() -> None:
    told = question(extraction(apis=list(range(200_000))), 20_000)[-1].content
    assert len(told.encode()) < 25_000


@given(st.text(max_size=3000), st.integers(0, 4000))
def test_a_cut_text_keeps_its_bound(text: str, limit: int) -> None:
    assert len(cut(text, limit).encode()) <= limit


def test_a_repair_carries_the_answer_and_at_most_2_kib_of_the_failure() -> None:
    asked = question(extraction(), 1_000)
    messages = repair(asked, f"```python\n{SCRIPT}```", "Traceback\n" + "x" * 10_000 + "\nNameError: y")
    assert messages[: len(asked)] == asked
    assert SCRIPT in messages[-2].content
    assert "NameError: y" in messages[-1].content
    assert len(messages[-1].content.encode()) < FEEDBACK_BYTES + 300


def test_what_the_commit_says_fills_what_the_extraction_leaves_out() -> None:
    commits = CommitSummary(
        repo="o/n",
        instance_id="i",
        created_at="2026",
        base_commit="b",
        head_commit=HEAD,
        patch="+ the patch",
        message="the message",
        subject="the subject",
    )
    assert told_of(commits, None).diff_text == "+ the patch"
    known = told_of(commits, extraction(commit_subject="another"))
    assert (known.commit_subject, known.commit_message) == ("another", "the message")


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n{SCRIPT}```",
        f"Here it is:\n\n```py\n{SCRIPT}```\nIt measures what matters.",
        f"```\n{SCRIPT}```",
        f"```bash\npip install x\n```\n```python\nx = 1\n```\n```python\n{SCRIPT}```",
        f"```python\n{SCRIPT}",
        SCRIPT,
    ],
    ids=["fenced", "with words", "untagged", "longest of several", "fence left open", "bare"],
)
def test_the_script_is_found_in_the_answer(answer: str) -> None:
    assert script_in(answer) == SCRIPT


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("", "no Python script"),
        ("   \n", "no Python script"),
        ("```bash\nls\n```", "no Python script"),
        ("I can't help with that.", "not valid Python"),
        ("```python\ndef f(:\n    pass\n```", "line 1: invalid syntax in 'def f(:'"),
        ("```python\nx = '\x00'\n```", "not valid Python"),
        ("```python\n" + "(" * 5_000 + "\n```", "not valid Python"),
        ("```python\nprint(1)\n```", "never mentions avg_ms, iterations, result_sha256, seed"),
        ("```python\nx = '" + "a" * 300_000 + "'\n```", "larger than 256 KiB"),
    ],
)
def test_an_answer_without_a_usable_script_says_what_to_mend(answer: str, told: str) -> None:
    with pytest.raises(ItemFailure) as failure:
        script_in(answer)
    assert failure.value.reason is Reason.TEST_INVALID
    assert told in failure.value.message


def refusal_of(script: str) -> Reason | None:
    try:
        check_syntax(script)
    except ItemFailure as failure:
        return failure.reason
    return None


@given(st.text(max_size=200))
def test_any_text_is_a_script_or_an_invalid_test(text: str) -> None:
    assert refusal_of(text) in (None, Reason.TEST_INVALID)


def test_comments_and_docstrings_go_and_the_meaning_stays() -> None:
    script = '"""About."""\n# secret\ndef f():\n    """Only this."""\n\nx = "# no comment"  # secret\nprint(f(), x)\n'
    stripped = without_comments(script)
    assert stripped == "def f():\n    pass\nx = '# no comment'\nprint(f(), x)\n"


def test_the_estimate_is_a_token_for_four_bytes_and_a_tenth() -> None:
    assert estimated_tokens([Message("user", "x" * 400)]) == 110
    assert estimated_tokens([Message("user", "ü" * 2), Message("system", "")]) == 2


def test_the_preview_says_what_is_asked_and_what_it_costs() -> None:
    section = LlmSection(max_tokens=1_000)
    messages = first_question(extraction(diff_text="+ x"), section)
    shown = preview(messages, section, Prices.of(Price(input=10, output=20)), budget_usd=0.5)
    assert shown.messages == messages
    assert shown.completion_tokens == 1_000
    assert shown.estimate_usd == pytest.approx((shown.prompt_tokens * 10 + 1_000 * 20) / 1e6)
    assert shown.cap_usd == 0.5


def test_a_small_context_makes_a_small_question() -> None:
    section = LlmSection(context_tokens=8_192, max_tokens=2_048)
    messages = first_question(extraction(diff_text="d" * 1_000_000), section)
    assert estimated_tokens(messages) + 2 * section.max_tokens < section.context_tokens


def test_the_extraction_in_the_question_is_json() -> None:
    known = extraction(commit_subject='quotes " and \\ and \n')
    told = question(known, 100_000)[-1].content
    assert json.loads(told[told.index("\n{") :])["commit_subject"] == known.commit_subject
