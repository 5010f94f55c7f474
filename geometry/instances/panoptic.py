"""Instances and stuff in one map: every pixel has one class, and those of things have an instance."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray


def panoptic_map(labels: Mapping[str, NDArray], things: Collection[int], classes: int) -> dict[str, NDArray]:
    """A panoptic labelling from fused instances and semantics.

    Parameters
    ----------
    labels : mapping
        ``instances`` (H, W) and ``instance_class`` (K,); ``semantics``, ``semantics_valid`` and ``semantics_runner_up``
        (H, W) where there are any.
    things : classes that have instances
    classes : int
        Size of the vocabulary: classes are uint8 up to 256, uint16 beyond.

    Returns
    -------
    dict
        ``panoptic`` (H, W), the class of the pixel's instance; else its semantic class if that is stuff; else its second class if
        that is. ``panoptic_valid`` (H, W) bool, false where none of these is: the class is 0 there.
    """
    ids = labels["instances"]
    known = ids > 0
    panoptic = np.concatenate([[0], labels["instance_class"]])[ids]
    for name in ("semantics", "semantics_runner_up"):
        if name in labels:
            stuff = ~known & labels["semantics_valid"] & ~np.isin(labels[name], list(things))
            panoptic = np.where(stuff, labels[name], panoptic)
            known = known | stuff
    return {"panoptic": panoptic.astype(np.uint8 if classes <= 256 else np.uint16), "panoptic_valid": known}
