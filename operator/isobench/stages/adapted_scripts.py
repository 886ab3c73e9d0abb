"""The test, adapted to each arm: imports of names that moved are rewritten, the original stays in the record."""

from collections.abc import Mapping

from isobench.adapters.files import write_text
from isobench.adapters.python.api_snapshot import read_names
from isobench.contracts.prepared import Prepared
from isobench.contracts.record import Arm
from isobench.engine.import_adaptation import adapt_imports
from isobench.engine.workspace import Workspace


def write_scripts(workspace: Workspace, prepared: Prepared) -> Mapping[Arm, dict[str, str]]:
    """Write each ready arm's script and return, per arm, what was rewritten to what."""
    test = workspace.test.read_text(encoding="utf-8")
    names = {arm.name: read_names(workspace.root / arm.api_manifest) for arm in prepared.arms if arm.api_manifest}
    rewrites: dict[Arm, dict[str, str]] = {}
    for arm in prepared.arms:
        if not arm.ready:
            continue
        text = test
        if arm.name in names:
            others = [names[other] for other in names if other != arm.name]
            adapted = adapt_imports(test, names[arm.name], *others)
            text = adapted.text
            if adapted.rewrites:
                rewrites[arm.name] = dict(adapted.rewrites)
        write_text(workspace.script(arm.name), text)
    return rewrites
