"""The verbs of isobench: one module per stage, each `run(request, ports) -> StageResult`."""
