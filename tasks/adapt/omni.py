"""omni: predictions and thresholds -> omni pseudo-labels: what to learn of every panorama, and where to learn nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.instances.boxes import mask_boxes
from models.adaptation.pseudo_labels import IGNORED, OmniLabels, omni_labels, semantic_labels, thing_area
from storage.items import Item
from storage.receipts import Receipt
from tasks.adapt.arrays import pack_mask, pack_objects, unpack_confidence, unpack_mask, unpack_objects, unpack_observed
from tasks.adapt.settings import OmniLabels as OmniSettings
from tasks.seamless.vocabulary import BRANCHES, things_of, vocabulary_in
from tasks.stage.block import run_block
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Inputs, Kind
from tasks.stage.upstream import Upstream

VERSION = "2"


def _says(settings: OmniSettings, _inputs: Inputs) -> dict[str, Any]:
    return {"veto": settings.veto, "least": {branch: getattr(settings, branch).least for branch in BRANCHES}}


KIND = Kind(
    "omni",
    VERSION,
    OmniSettings,
    {"predictions": Edge("predictions"), "thresholds": Edge("thresholds")},
    "omni labels",
    make="tasks.adapt.omni:omni_block",
    says=_says,
    shows="tasks.adapt.shown:omni",
)


def omni_block(job: Job) -> Receipt:
    """Store the labels of every panorama of a block."""
    settings: OmniSettings = job.settings
    predicted = Upstream(job, job.input("predictions"))
    things = things_of(predicted.receipt.about)
    semantic, *branches = Upstream(job, job.input("thresholds")).item(0)["thresholds"]

    def read(slot: int, _item: Item) -> dict[str, NDArray]:
        return predicted.item(slot)

    def label(_item: Item, arrays: dict[str, NDArray]) -> Output:
        width, room = arrays["semantics"].shape[1], len(arrays["amodals_scores"])
        classes = semantic_labels(arrays["semantics"], unpack_confidence(arrays["confidence"]), semantic)
        values: dict[str, NDArray] = {"semantics": classes}
        observed = unpack_observed(arrays)
        figures: dict[str, Any] = {"ignored": float((classes == IGNORED)[observed].mean())}
        area = thing_area(arrays["semantics"], things)
        for branch, thresholds in zip(BRANCHES, branches):
            found = unpack_objects(branch, arrays, width)
            least = getattr(settings, branch).least
            labels = omni_labels(found.masks, found.classes, found.scores, area, thresholds, least, settings.veto)
            values |= pack_objects(branch, labels.masks, labels.classes, labels.scores, room)
            values[f"{branch}_uncertain"] = pack_mask(labels.uncertain)
            figures[branch] = {
                "found": len(found.scores),
                "kept": len(labels.scores),
                "uncertain": float(labels.uncertain[observed].mean()),
            }
        return Output(values, figures)

    return run_block(job, label, vocabulary_in(predicted.receipt.about), read=read)


def unpack_labels(branch: str, arrays: Mapping[str, NDArray]) -> OmniLabels:
    """A branch's labels of one panorama, masks (K, H, W) bool, from what the stage stored, ``<branch>_masks`` in bits (uint8)."""
    width = arrays["semantics"].shape[1]
    found = unpack_objects(branch, arrays, width)
    uncertain = unpack_mask(np.asarray(arrays[f"{branch}_uncertain"]), width)
    return OmniLabels(found.masks, found.classes, found.scores, mask_boxes(found.masks), uncertain)
