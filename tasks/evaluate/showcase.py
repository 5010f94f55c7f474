"""Pictures of one item for the report: what went in, what came out, and how far it is from the truth."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from metrics.panorama import known_truth
from storage.arrays import BlockReader
from tasks.evaluate.evaluate import read_truth
from tasks.ingest.panorama import load_panorama
from tasks.label.fuse import decode_labels
from tasks.pages import pictures
from tasks.stage.job import BadItem
from tasks.stage.kind import Stage
from tasks.stage.made import MadeBlock


def item_pictures(stage: Stage, fused: MadeBlock, slot: int, classes: int) -> dict[str, NDArray[np.uint8]]:
    """Named RGB pictures (H, W, 3) of a fused item: panorama, labels, how sure they are, and the depth error if truth is known.

    ``stage`` is over the panoramas that the labels are of. ``classes`` is the size of the labels' vocabulary, which fixes the
    colours.
    """
    url, block, receipt = fused
    item, reading = block.items[slot], stage.panoramas.settings
    labels = decode_labels(BlockReader(url, receipt.files).item(slot))
    truth, _ = read_truth(stage.origin.settings.source, item)
    shown = {}
    with suppress(BadItem):  # its file went, or changed, since it was labelled: no reason to fail a run that is done
        panorama = load_panorama(item, reading)
        shown["panorama"] = pictures.panorama_picture(panorama.pixels, panorama.observed)
    if "depth" in labels:
        shown["depth"] = pictures.depth_picture(labels["depth"], labels["depth_valid"])
    if "normals" in labels:
        shown["normals"] = pictures.normals_picture(labels["normals"], labels["normals_valid"])
    if "semantics" in labels:
        shown["semantics"] = pictures.semantics_picture(labels["semantics"], labels["semantics_valid"], classes)
        shown["confidence"] = pictures.confidence_picture(labels["semantics_confidence"], labels["semantics_valid"])
    if "instances" in labels:
        ids = labels["instances"]
        shown["instances"] = pictures.semantics_picture(ids, ids > 0, int(ids.max()) + 1)
    if "depth" in labels:
        shown["consistency"] = pictures.confidence_picture(labels["depth_consistency"], labels["depth_valid"])
    if "depth" in labels and truth.get("depth", np.empty(0)).shape == labels["depth"].shape:
        both = labels["depth_valid"] & known_truth(truth, "depth")
        shown["depth error"] = pictures.error_picture(labels["depth"], truth["depth"], both)
    return shown
