"""How well the views of one panorama agree, from what ``fuse`` leaves; no truth needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.agreement import MEASURES, judged_pixels
from metrics.weights import row_weights
from tasks.block import BadItem


def task_consistencies(labels: Mapping[str, NDArray]) -> dict[str, float]:
    """Mean agreement of every task in [0, 1], by solid angle.

    Over the valid pixels that two views or more see: elsewhere there is nothing to agree with. A task without such a pixel is
    left out.
    """
    found: dict[str, float] = {}
    for task, measure in MEASURES.items():
        judged = judged_pixels(labels, task)
        if judged.any():
            weights = judged * row_weights(len(judged), by_area=True)[:, None]
            found[task] = float((weights * labels[measure]).sum() / weights.sum() / 255)
    return found


def item_consistency(labels: Mapping[str, NDArray]) -> float | None:
    """One number in [0, 1] for a panorama: the mean over its tasks; None where no two views see the same."""
    found = task_consistencies(labels)
    return float(np.mean(list(found.values()))) if found else None


def require_consistency(labels: Mapping[str, NDArray], figures: Mapping[str, Any], least: float) -> None:
    """Give an item up whose views agree too little.

    Parameters
    ----------
    labels : ERP arrays of the stage ``fuse``
    figures : those of the panorama's row, of which ``consistency`` is compared if it is there, else :func:`item_consistency`
        None is never too little, for there was nothing to compare.
    least : float
        ``fuse.min_consistency``; 0 gives nothing up.

    Raises
    ------
    BadItem
        The reason names the figure, its threshold and the tasks' shares in it.
    """
    consistency = figures.get("consistency", item_consistency(labels))
    if consistency is None or consistency >= least:
        return
    shares = ", ".join(f"{task} {share:.3f}" for task, share in task_consistencies(labels).items())
    raise BadItem(f"views disagree: consistency {consistency:.4f} is below fuse.min_consistency {least:g} ({shares})")
