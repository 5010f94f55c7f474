"""The threshold below which a panorama is given up, because its own views disagree about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metrics.audit.agreement import MEASURES
from tasks.stage.job import BadItem


def task_consistencies(figures: Mapping[str, Any]) -> dict[str, float]:
    """The consistency of each task, out of a panorama's figures of the stage ``fuse``."""
    return {task: figures[name] for task in MEASURES if (name := f"consistency_{task}") in figures}


def require_consistency(figures: Mapping[str, Any], least: float) -> None:
    """Give a panorama up whose views agree too little.

    Parameters
    ----------
    figures : those of :func:`metrics.consistency.consistency_figures`
        Without ``consistency`` there was nothing to compare, which is never too little.
    least : float
        ``fuse.min_consistency``; 0 gives nothing up.

    Raises
    ------
    BadItem
        The reason names the figure, its threshold and the tasks' own.
    """
    consistency = figures.get("consistency", 1.0)
    if consistency < least:
        parts = ", ".join(f"{task} {value:.3f}" for task, value in task_consistencies(figures).items())
        raise BadItem(f"views disagree: consistency {consistency:.4f} is below fuse.min_consistency {least:g} ({parts})")
