"""What a seamless network found, as the metrics take it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.amodal_panoptic import AmodalPanoptic
from metrics.seamless.objects import Objects
from metrics.seamless.panoptic import PanopticMap
from metrics.seamless.suite import SeamlessLabels
from models.seamless.fusion import Detections, FusionRule, fuse_branches


def found_labels(semantics: NDArray[np.integer], instances: Detections, amodals: Detections, rule: FusionRule) -> SeamlessLabels:
    """What a network found, fused by a rule; the raw detections go to the average precisions.

    ``semantics`` is the class map (H, W), an integer dtype; masks of detections are (N, H, W) bool.
    """
    maps = fuse_branches(semantics, instances, amodals, rule)
    used = Objects(maps.wholes.masks, maps.wholes.classes, maps.wholes.scores)
    raw = [Objects(given.masks, given.classes, given.scores) for given in (instances, amodals)]
    segments = PanopticMap(maps.segments, maps.segment_classes)
    return SeamlessLabels(semantics, segments, AmodalPanoptic(maps.stuff, used), *raw)
