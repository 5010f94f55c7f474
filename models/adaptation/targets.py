"""From labels in numpy to what the network learns of them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.instances.boxes import mask_boxes
from models.adaptation.mixing import Example
from models.seamless.branch import BranchTarget
from models.seamless.network import Target

Mask = NDArray[np.bool_]


def branch_target(
    masks: Mask, classes: NDArray[np.integer], uncertain: Mask, first_thing: int, wrap: bool, blank: Mask | None = None
) -> BranchTarget:
    """Target of one branch.

    Parameters
    ----------
    masks, classes, uncertain : (M, H, W) bool, (M,) int out of the whole vocabulary, (H, W) bool
    first_thing : the class that the branch calls 0
    wrap : whether the image closes, so that boxes may cross its seam; a crop does not
    blank : (H, W) bool, what shows nothing that was photographed, if there is any

    Notes
    -----
    Boxes are those of the masks' own pixels. Empty masks are left out.
    """
    there = np.any(masks, axis=(1, 2))
    top, left, height, width = mask_boxes(masks[there], wrap).T
    edges = np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)
    return BranchTarget(
        torch.from_numpy(edges),
        torch.from_numpy(np.asarray(classes[there], np.int64) - first_thing),
        torch.from_numpy(masks[there]),
        torch.from_numpy(np.ascontiguousarray(uncertain)),
        torch.from_numpy(np.ascontiguousarray(blank)) if blank is not None and blank.any() else None,
    )


def example_target(
    example: Example, uncertain: tuple[Mask, Mask], first_thing: int, wrap: bool, blank: Mask | None = None
) -> Target:
    """Target of a crop, mixed or not; ``uncertain`` (h, w) of the instance and of the amodal branch, before mixing.

    What was pasted is certain, and shown where ``blank`` (h, w) says that nothing was photographed.
    """
    doubtful = [region & ~example.covered for region in uncertain]
    hole = None if blank is None else blank & ~example.covered
    return Target(
        torch.from_numpy(example.semantics.astype(np.int64)),
        branch_target(example.instances, example.instance_classes, doubtful[0], first_thing, wrap, hole),
        branch_target(example.amodals, example.amodal_classes, doubtful[1], first_thing, wrap, hole),
    )
