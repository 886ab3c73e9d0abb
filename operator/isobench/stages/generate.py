"""generate: a model writes the efficiency test, or mends the one that failed; one question an attempt, paid once."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from isobench.adapters.beneath import NotTaken, open_beneath
from isobench.adapters.files import read_json, read_model, write_json, write_text
from isobench.adapters.models.gateway_process import running_gateway
from isobench.adapters.models.ledger import claim, read_entries
from isobench.adapters.models.llm import Completion, LLMConfigManager
from isobench.contracts.extraction import Extraction
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import Cost
from isobench.engine.generation import told_of
from isobench.engine.leaks import refuse_leaks
from isobench.engine.money import balance
from isobench.engine.test_prompt import Message, repair, script_in
from isobench.engine.workspace import Workspace
from isobench.stages.attempt import Clock, Done, attempt
from isobench.stages.human_change import human_change


@dataclass(frozen=True)
class GeneratePorts:
    """What `generate` reaches the outside world by; ``extraction`` finds the commit's, where the inputs hold one."""

    workspace: Workspace
    clock: Clock
    llm: LLMConfigManager
    extraction: Callable[[str], Extraction | None]
    grant: Callable[[], AbstractContextManager[None]] = nullcontext
    """Holds the money that the item may cost; on a cluster it was granted before the stage began."""


ANSWER_BYTES = 2**20


def run(request: StageRequest, ports: GeneratePorts) -> StageResult:
    """Leave `test.py`; and prompt, answer and usage under `generate/<attempt>/`, the usage last.

    The cost is in the result whatever became of the attempt: it is what the ledger says of it.
    """
    result = attempt(request, ports.clock, ports.workspace.root, lambda: _generate(request, ports))
    return result.model_copy(update={"cost": _cost(request, ports)})


def _generate(request: StageRequest, ports: GeneratePorts) -> Done:
    folder = _folder(ports, request.attempt)
    if _usage(folder).exists():
        return Done("the test of this attempt was already written")
    asked = request.spec.test.generate
    assert asked is not None  # else the plan has no such stage
    ports.llm.require_usable(asked.model, asked.provider)
    prepared = read_model(ports.workspace.prepared, Prepared)
    extraction = ports.extraction(prepared.commits.head_commit)
    first = ports.llm.first_question(told_of(prepared.commits, extraction))
    messages = _messages(request, first, ports)
    preview = ports.llm.preview(messages, asked.budget_usd, asked.model)
    with ports.grant():
        claim(ports.workspace.ledger(), request.stage, request.attempt)
        write_json(_prompt(folder), asdict(preview))
        ledger = ports.workspace.generation_ledger
        settings = ports.llm.gateway_settings(ledger, request.attempt, asked.budget_usd, asked.model)
        with running_gateway(settings, folder / "gateway.log") as gateway:
            completion = ports.llm.complete(messages, gateway, asked.model)
    write_text(_answer(folder), completion.text)
    script = script_in(_usable(completion))
    refuse_leaks(script, human_change(prepared, extraction))
    write_text(ports.workspace.test, script)
    write_json(_usage(folder), _cost(request, ports).model_dump(mode="json"))
    return Done()


def _messages(request: StageRequest, first: tuple[Message, ...], ports: GeneratePorts) -> tuple[Message, ...]:
    if request.feedback is None:
        return first
    answer = _answer(_folder(ports, request.attempt - 1)).relative_to(ports.workspace.root)
    try:  # builds wrote in this workspace: what a link leads to must not reach the model
        with open_beneath(ports.workspace.root, str(answer)) as stream:
            text = stream.read(ANSWER_BYTES).decode("utf-8", errors="replace")
    except (FileNotFoundError, NotTaken):
        return first
    return repair(first, text, request.feedback)


def _usable(completion: Completion) -> str:
    if completion.refusal or completion.ending == "content_filter":
        said = (completion.refusal or "the provider's filter held the answer back")[:300]
        raise ItemFailure(Reason.MODEL_UNAVAILABLE, f"the model refuses to write the test ({said}); name another")
    if completion.ending == "length":
        raise ItemFailure(
            Reason.TEST_INVALID,
            "the answer was cut off at its largest length: write a shorter script, or raise max_tokens",
        )
    return completion.text


def _cost(request: StageRequest, ports: GeneratePorts) -> Cost:
    prompt = _prompt(_folder(ports, request.attempt))
    estimate = read_json(prompt)["estimate_usd"] if prompt.exists() else 0.0
    try:
        return balance(read_entries(ports.workspace.generation_ledger), request.attempt).cost(estimate)
    except ItemFailure:  # what was spent is unknown, and at most the cap
        cap = request.spec.test.generate.budget_usd if request.spec.test.generate else 0.0
        return Cost(estimate_usd=estimate, measured_usd=cap)


def _folder(ports: GeneratePorts, number: int) -> Path:
    return ports.workspace.root / "generate" / str(number)


def _prompt(folder: Path) -> Path:
    return folder / "prompt.json"


def _answer(folder: Path) -> Path:
    return folder / "answer.txt"


def _usage(folder: Path) -> Path:
    return folder / "usage.json"
