"""generate's pod: a model writes the test; the only container with the model's key, and it runs nobody else's code."""

import os
from collections.abc import Mapping

from isobench.adapters.files import read_model
from isobench.adapters.models.llm import LLMConfigManager
from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.extraction import Extraction
from isobench.contracts.pod import PodRequest
from isobench.contracts.prepared import Prepared
from isobench.contracts.stage import StageResult
from isobench.stages import generate as generating
from isobench.stages.attempt import Done, attempt
from isobench.worker.pod import Pod, now, result_of

KEY_VARIABLE = "ISOBENCH_API_KEY"


def generate(request: PodRequest) -> StageResult:
    """Leave `test.py`, unless one was supplied."""
    pod = Pod(request)

    def work() -> StageResult:
        if read_model(pod.workspace.prepared, Prepared).test_supplied:
            return attempt(request.item, now, pod.workspace.root, lambda: Done("a test was supplied"))
        ports = generating.GeneratePorts(
            workspace=pod.workspace, clock=now, llm=model_of(request), extraction=lambda head: extraction_of(pod)
        )
        return generating.run(request.item, ports)

    return result_of(pod, work)


def model_of(request: PodRequest) -> LLMConfigManager:
    """The model as the operator has it configured, with the key that this container was given.

    Raises:
        InvalidInput: the operator knows no such provider.
    """
    if request.configuration is None:
        raise InvalidInput("provider", ["the operator has no configuration of it: add it to the release's values"])
    return LLMConfigManager(request.configuration, _with_key(request.configuration, os.environ))


def _with_key(configuration: Configuration, variables: Mapping[str, str]) -> Mapping[str, str]:
    """``variables``, with a key that came under our own name under the provider's."""
    name = configuration.llm.api_key_env
    if name is None or KEY_VARIABLE not in variables:
        return variables
    return {**variables, name: variables[KEY_VARIABLE]}


def extraction_of(pod: Pod) -> Extraction | None:
    """What the batch's inputs say of the commit, if they do."""
    path = pod.workspace.extraction
    return read_model(path, Extraction) if path.is_file() else None
