"""A dry run: what a model would be asked for each missing test and what that would cost; nothing is asked."""

from collections.abc import Iterator
from dataclasses import dataclass

from isobench.adapters.extraction_files import read_extraction
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.models.llm import LLMConfigManager
from isobench.contracts.base import InvalidInput
from isobench.contracts.extraction import Extraction
from isobench.contracts.reasons import ItemFailure
from isobench.engine.generation import Preview
from isobench.engine.planning import PlannedItem
from isobench.local.planner import Plan


@dataclass(frozen=True)
class Foreseen:
    """What a run would do for one commit's test: take the supplied one, or ask for ``preview``."""

    item: PlannedItem
    preview: Preview | None


def foresee(plan: Plan, llm: LLMConfigManager, repository: RepoManager, cap_usd: float) -> Iterator[Foreseen]:
    """Each item in the plan's order, one at a time.

    Raises:
        InvalidInput: the model has no price, or the repository does not hold the commit.
    """
    for item in plan.items:
        if item.head in plan.tested:
            yield Foreseen(item, None)
            continue
        try:
            messages = llm.first_question(_told(plan, item, repository))
            yield Foreseen(item, llm.preview(messages, cap_usd))
        except ItemFailure as failure:
            raise InvalidInput(item.origin, [failure.message]) from None


def _told(plan: Plan, item: PlannedItem, repository: RepoManager) -> Extraction:
    path = plan.extractions.get(item.head)
    known = read_extraction(path) if path is not None else Extraction(commit_hash=item.head)
    if known.diff_text:
        return known
    commit = repository.commit(item.head)
    base = item.base or repository.first_parent(item.head)
    return known.model_copy(
        update={
            "commit_subject": known.commit_subject or commit.subject,
            "commit_message": known.commit_message or commit.message,
            "diff_text": repository.diff(repository.resolve(base), commit.sha).text,
        }
    )
