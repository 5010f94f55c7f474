"""Distances that a training would cut: told before it begins, since what is cut is learnt as if it were the label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_area_weights
from tasks.train.labels.items import Place

LOOKED_AT = 16
"""Panoramas of every store that are looked at."""
MOST_CUT = 0.05
"""Share of the labelled sphere that may lie beyond ``depth_max``: what is cut is meant to be the odd far end, not the scene."""


def check_depth_max(places: Sequence[Place], depth_max: float | None) -> None:
    """Refuse a ``depth_max`` that cuts more than the far end of a store's distances.

    Parameters
    ----------
    places : those of one or several stores
    depth_max : float or None
        The largest distance that is learnt, in the labels' unit; None for any.

    Raises
    ------
    ValueError
        More than 5 % of a store's labels lie beyond it; the message says how many, and what to write.
    """
    if depth_max is None:
        return
    for stage in {id(place.stage): place.stage for place in places}.values():
        own = [place for place in places if place.stage is stage]
        chosen = [own[index] for index in np.unique(np.linspace(0, len(own) - 1, LOOKED_AT).astype(int))]
        distances, areas = (np.concatenate(column) for column in zip(*map(_distances, chosen)))
        cut = float(areas[distances > depth_max].sum() / max(areas.sum(), 1e-12))
        if cut > MOST_CUT:
            order = np.argsort(distances)
            beyond = np.searchsorted(np.cumsum(areas[order]), (1 - MOST_CUT) * areas.sum())
            least = distances[order][min(int(beyond), len(order) - 1)]
            raise ValueError(
                f"labels {stage.key}: {100 * cut:.1f} % of the distances of the {len(chosen)} panoramas looked at lie beyond "
                f"losses.depth_max, which is {depth_max:g}, and would be learnt as that; leave depth_max out, or write "
                f"{least * 1.01:.3g} or more"
            )


def _distances(place: Place) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The valid distances (N,) of a panorama and what each covers of the sphere; nothing where its store has no depth."""
    names = ("depth", "depth_valid")
    if not set(names) <= set(place.block.names):
        return np.zeros(0), np.zeros(0)
    stored = place.block.reader.item(place.slot, names)
    valid = stored["depth_valid"]
    areas = np.broadcast_to(erp_area_weights(len(valid))[:, None], valid.shape)
    return stored["depth"][valid].astype(np.float64), areas[valid]
