"""Auxiliary labels for training, derived from what the loader has read and changed, each with a mask of where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.surfaces.auxiliaries import AUXILIARIES, EDGE_LIMIT, derive_auxiliaries
from geometry.surfaces.edges import edge_distance
from geometry.surfaces.gradients import sphere_neighbours, surrounded
from tasks.train.labels.items import Arrays, Derive

NEEDS = {"points": {"depth"}, "image_gradient": set(), "edge_distance": {"depth", "semantics"}}
"""Labels of which an auxiliary one needs some; the image is always there."""


def deriving(tasks: Sequence[str], depth_edge: float) -> Derive:
    """What adds the auxiliary labels that follow from these tasks to one item's arrays.

    Parameters
    ----------
    tasks : of ``depth``, ``normals``, ``semantics``
    depth_edge : float
        Relative jump in distance that counts as an edge.

    Returns
    -------
    function of an item's arrays
        ``points`` (H, W, 3), ``image_gradient`` (H, W, 2), ``edge_distance`` (H, W), each with ``<name>_valid`` (H, W) bool.
        An edge distance is known where no pixel without class (or distance, if there are no classes) might hold a nearer edge,
        and an image gradient where the pixel and its neighbours were photographed.
    """
    names = tuple(name for name in AUXILIARIES if not NEEDS[name] or NEEDS[name] & set(tasks))

    def derive(arrays: Arrays) -> dict[str, NDArray[Any]]:
        labels = {name: arrays[name] for task in tasks for name in (task, f"{task}_valid")}
        labels["views"] = np.ones(arrays["image"].shape[:2], np.uint8)
        observed, image = arrays.get("observed"), np.asarray(arrays["image"])
        derived: dict[str, NDArray[Any]] = dict(derive_auxiliaries(names, labels, image, depth_edge, observed))
        known = {f"{name}_valid": _known(name, derived[name], labels, observed) for name in names}
        return {**derived, **known}

    return derive


def _known(name: str, values: NDArray[Any], labels: Arrays, observed: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Where (H, W) an auxiliary label says something."""
    if name == "points":
        return np.asarray(labels["depth_valid"])
    everywhere = np.ones(values.shape[:2], bool)
    if name == "image_gradient":
        return everywhere if observed is None else surrounded(observed)
    # Distances are invalid in the sky, whose border the classes tell; so where there are classes, they decide.
    labelled = labels["semantics_valid" if "semantics" in labels else "depth_valid"]
    if labelled.all():
        return everywhere
    beside = np.logical_or.reduce([~one for one in sphere_neighbours(labelled)])  # may be an edge, if one knew the neighbour
    return np.asarray(labelled & (values <= edge_distance(~labelled | beside, EDGE_LIMIT)))
