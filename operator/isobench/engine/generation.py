"""The generation of a test as it is known beforehand: what is asked, and what that costs; `--mode=dry` shows it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from isobench.contracts.configuration import LlmSection
from isobench.contracts.extraction import Extraction
from isobench.contracts.prepared import CommitSummary
from isobench.engine.money import Prices, Usage
from isobench.engine.test_prompt import Message, question

BYTES_PER_TOKEN = 4
MARGIN = Fraction(11, 10)
SCRIPT_TOKENS = 2048
"""What a script usually takes; a model that reasons takes more."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is asked, what one asking is expected to cost, and the cap that it keeps with both of its repairs."""

    messages: tuple[Message, ...]
    prompt_tokens: int
    completion_tokens: int
    estimate_usd: float
    cap_usd: float


def told_of(commits: CommitSummary, extraction: Extraction | None) -> Extraction:
    """The extraction as the model is told it: with what the commit itself says where the file says nothing."""
    known = extraction or Extraction(commit_hash=commits.head_commit)
    return known.model_copy(
        update={
            "commit_subject": known.commit_subject or commits.subject,
            "commit_message": known.commit_message or commits.message,
            "diff_text": known.diff_text or commits.patch,
        }
    )


def first_question(extraction: Extraction, llm: LlmSection) -> tuple[Message, ...]:
    """What the model is asked for a test of ``extraction``, in the room that its context leaves."""
    return question(extraction, prompt_bytes(llm))


def preview(messages: tuple[Message, ...], llm: LlmSection, prices: Prices, budget_usd: float) -> Preview:
    """What asking ``messages`` is expected to cost; calls nothing."""
    prompt = estimated_tokens(messages)
    completion = min(SCRIPT_TOKENS, llm.max_tokens)
    return Preview(
        messages=messages,
        prompt_tokens=prompt,
        completion_tokens=completion,
        estimate_usd=float(prices.cost(Usage(prompt, completion))),
        cap_usd=budget_usd,
    )


def estimated_tokens(messages: Sequence[Message]) -> int:
    """Tokens of a prompt, estimated: a token for four bytes of UTF-8, a tenth added, rounded up."""
    size = sum(len(message.content.encode(errors="replace")) for message in messages)
    return math.ceil(size * MARGIN / BYTES_PER_TOKEN)


def prompt_bytes(llm: LlmSection) -> int:
    """How much of an extraction is told: what leaves room for the answer, the script to repair and its failure."""
    room = llm.context_tokens - 2 * llm.max_tokens
    return max(llm.context_tokens // 4, room) * BYTES_PER_TOKEN * 3 // 4
