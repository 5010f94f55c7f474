"""Figures under the names of PaGeR's evaluation scripts (prs-eth/PaGeR), and what those pass over: missing predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metrics.side_by_side import Items, failed, mean_of, protocol_figures

NAMES = {
    "depth": {"abs_relative_difference": "depth.abs_rel", "rmse_linear": "depth.rmse", "delta1_acc": "depth.delta1"},
    "normals": {
        "mean": "normals.mean",
        "mse": "normals.rmse",
        "delta_5": "normals.within_5",
        "delta_22.5": "normals.within_22_5",
    },
    "seams": {name: f"seams.{name}" for name in ("seam_defect_density", "seam_prevalence", "seam_severity")},
}
"""Script -> its name of a figure -> place of ours."""
WORST = {"delta1_acc": 0.0, "delta_5": 0.0, "delta_22.5": 0.0, **dict.fromkeys(NAMES["seams"], 1.0)}
"""What a failure is worth in figures that have a worst value; errors have none."""


def is_pagers(protocol: str) -> bool:
    """Whether a protocol is one of PaGeR's."""
    return protocol.startswith("pager_")


def pager_figures(items: Items, name: str, main: str, given_up: int = 0) -> dict[str, dict[str, Any]]:
    """What PaGeR's scripts would say, as JSON values.

    Parameters
    ----------
    items, name, main : as for :func:`metrics.side_by_side.protocol_figures`; ``name`` is one of PaGeR's protocols
    given_up : panoramas with truth that have no labels at all

    Returns
    -------
    dict
        For each of ``depth``, ``normals`` and ``seams`` that any panorama was judged by: ``panoramas`` that were judged, the mean
        of every figure over them, None without any; ``failures``, panoramas with truth and without such labels, and as
        ``with_failures`` the means of figures that have a worst value if each failure has it.
    """
    figures = protocol_figures(items, name, main)
    tasks = [task for task in NAMES if any(task in item for item in items)]
    return {task: _script(items, task, {one: figures[place] for one, place in NAMES[task].items()}, given_up) for task in tasks}


def _script(items: Items, task: str, figures: dict[str, Sequence[float | None]], given_up: int) -> dict[str, Any]:
    if "mse" in figures:  # of each panorama, so that the mean over panoramas is that of squares
        figures = {**figures, "mse": [None if value is None else value**2 for value in figures["mse"]]}
    first = next(iter(figures.values()))
    failures = given_up + sum(failed(item, task, value) for item, value in zip(items, first, strict=True))
    counts = {"panoramas": sum(value is not None for value in first), "failures": failures}
    worst = {name: mean_of([*figures[name], *[WORST[name]] * failures]) for name in figures if name in WORST}
    return {**counts, **{name: mean_of(values) for name, values in figures.items()}, "with_failures": worst}
