"""How a module of isobench is run by a Python that has no isobench and may read no more than its package's folder."""

from pathlib import Path

PACKAGE = Path(__file__).parents[3]
"""isobench's folder, where this is read."""

# By its folder, not by a search path: that would have to be listed, and may hold the packages of a whole installation.
_LOAD = """
import importlib, importlib.util, sys
folder, module = sys.argv.pop(1), sys.argv.pop(1)
init = folder + "/__init__.py"
spec = importlib.util.spec_from_file_location("isobench", init, submodule_search_locations=[folder])
sys.modules["isobench"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["isobench"])
importlib.import_module(module).main()
"""


def command(python: Path | str, package: Path, module: str) -> tuple[str, ...]:
    """What runs `main` of ``module``, a neighbour of this one; ``package`` is isobench's folder."""
    return str(python), "-I", "-c", _LOAD, str(package), f"isobench.adapters.agents.openhands.{module}"
