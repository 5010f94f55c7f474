"""panolabel for Python users: :func:`open` labels, :func:`plan` and :func:`run` pipelines. docs/python.md shows them at work.

Importing it costs nothing: what a name stands for is imported when it is first used, so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from panolabel.command import main, refuse_foreign

if TYPE_CHECKING:
    from flows.calls import ShownPlan, open, plan, run
    from flows.reading.labels import Labels
    from flows.reading.published import Published
    from flows.reading.store import Store, StoredStage

_HOMES = {
    **dict.fromkeys(("ShownPlan", "open", "plan", "run"), "flows.calls"),
    "Labels": "flows.reading.labels",
    "Published": "flows.reading.published",
    **dict.fromkeys(("Store", "StoredStage"), "flows.reading.store"),
}

__all__ = ["Labels", "Published", "ShownPlan", "Store", "StoredStage", "main", "open", "plan", "run"]


def __getattr__(name: str) -> Any:
    """A name of the face, imported now. ImportError if a package of somebody else is in the place of one of ours."""
    if name not in _HOMES:
        raise AttributeError(f"module 'panolabel' has no attribute {name!r}; it has {', '.join(__all__)}")
    refuse_foreign()
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
