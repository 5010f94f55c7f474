"""How well what stands still is told from what moves; "cannot tell" is an answer, and is counted as one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOVING, STATIC, CANNOT_TELL = 0, 1, 2


def static_figures(
    said: NDArray[np.integer], moving: NDArray[np.bool_], weights: NDArray[np.floating] | None = None
) -> dict[str, float]:
    """Figures of a static mask, over points or pixels (...); NaN where nothing counts.

    Parameters
    ----------
    said : (...) of :data:`MOVING`, :data:`STATIC`, :data:`CANNOT_TELL`
    moving : (...) bool
        The truth.
    weights : (...), optional
        Such as the solid angles of pixels; all alike without.

    Returns
    -------
    dict
        ``static_f1``: 2 TP / (2 TP + FP + FN) with what is static as positive; a static point of which nothing can be told is a
        miss (FN), a moving one is no false positive. ``static_f1_told``: the same over points of which something is told.
        ``moving_recall`` and ``moving_precision``: where almost everything stands still, F1 is high whatever is said of the rest.
        A moving point of which nothing can be told is not recalled. ``cannot_tell``: the share of such points.
    """
    weight = np.ones(moving.shape) if weights is None else np.broadcast_to(weights, moving.shape).astype(np.float64)

    def of(answer: int, true: bool) -> float:
        return float(weight[(said == answer) & (moving == true)].sum())

    static, wrong, missed, open_ = of(STATIC, False), of(STATIC, True), of(MOVING, False), of(CANNOT_TELL, False)
    found, unknown = of(MOVING, True), of(CANNOT_TELL, True)
    return {
        "static_f1": _ratio(2 * static, 2 * static + wrong + missed + open_),
        "static_f1_told": _ratio(2 * static, 2 * static + wrong + missed),
        "moving_recall": _ratio(found, found + wrong + unknown),
        "moving_precision": _ratio(found, found + missed),
        "cannot_tell": _ratio(open_ + unknown, float(weight.sum())),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
