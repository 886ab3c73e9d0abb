"""prepare: fetch the commits, take the supplied test, build every arm's environment; on a cluster in two containers."""

from dataclasses import dataclass

from isobench.contracts.stage import StageRequest, StageResult
from isobench.stages.attempt import Clock, attempt
from isobench.stages.build import BuildPorts, build
from isobench.stages.fetch import FetchPorts, fetch


@dataclass(frozen=True)
class PreparePorts:
    """What `prepare` reaches the outside world by."""

    clock: Clock
    fetch: FetchPorts
    build: BuildPorts


def run(request: StageRequest, ports: PreparePorts) -> StageResult:
    """Leave `prepared.json`, and `test.py` where a test was supplied."""
    return attempt(
        request,
        ports.clock,
        ports.build.workspace.root,
        lambda: build(request.spec, fetch(request.spec, ports.fetch), ports.build),
    )
