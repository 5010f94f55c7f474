"""What each kind of stage shows of its results; names, so that nothing is imported before it is needed."""

from __future__ import annotations

import importlib
from typing import Any

from tasks.stage.made import Made
from tasks.stage.tables import Piece

SHOWS = {
    "fuse": "tasks.label.shown:shows",
    "evaluate": "tasks.evaluate.shown:shows",
    "audit": "tasks.evaluate.shown_audit:shows",
    "train": "tasks.train.student.shown:shows",
    "predict": "tasks.adapt.shown:predict",
    "scores": "tasks.adapt.shown:scores",
    "thresholds": "tasks.adapt.shown:thresholds",
    "omni": "tasks.adapt.shown:omni",
    "pool": "tasks.adapt.shown:pool",
    "adapt": "tasks.adapt.shown:adapt",
    "compare": "tasks.adapt.shown:compare",
}
"""Kind -> ``shows(made: Made) -> list[Piece]``."""
SUMMARIES = {
    "fuse": "tasks.label.shown:summary",
    "evaluate": "tasks.evaluate.shown:summary",
    "audit": "tasks.evaluate.shown_audit:summary",
    "thresholds": "tasks.adapt.shown:thresholds_summary",
    "adapt": "tasks.adapt.shown:adapt_summary",
    "compare": "tasks.adapt.shown:compare_summary",
}
"""Kind -> ``summary(made: Made) -> dict``: what a run's record says of it, for machines."""


def shows(made: Made) -> list[Piece]:
    """Tables, pictures and words of a stage's results; nothing where its kind shows none, or it made no block."""
    pieces: list[Piece] = _call(SHOWS, made) or []
    return pieces


def summary(made: Made) -> dict[str, Any]:
    """What a run's record says of a stage, as JSON values."""
    found: dict[str, Any] = _call(SUMMARIES, made) or {}
    return found


def _call(table: dict[str, str], made: Made) -> Any:
    if made.kind not in table or not made.blocks:
        return None
    module, _, name = table[made.kind].partition(":")
    return getattr(importlib.import_module(module), name)(made)
