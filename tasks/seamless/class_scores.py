"""Classes of pixels measured on labelled images, for networks that say nothing else and labels that say nothing else."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.quality import Figures
from metrics.seamless.semantic import miou, semantic_counts
from models.seamless.saved import SeamlessModel
from models.seamless.semantic import SemanticNetwork
from tasks.ingest.images.bands import whole_sphere
from tasks.ingest.images.resizing import resize_image
from tasks.seamless.panorama_truth import class_lookup, resized
from tasks.seamless.reading import SeamlessData
from tasks.seamless.scores import find_in


def measure_classes(model: SeamlessModel, data: SeamlessData, height: int | None = None) -> Figures:
    """``mIoU`` over the classes of the labels, which the model's are matched to by name; what has another name counts as wrong.

    Parameters
    ----------
    model : SeamlessModel
    data : SeamlessData
    height : rows of the whole sphere as a student sees it; other networks see images as they are

    Raises
    ------
    BadItem
        An image or its labels cannot be read.
    ValueError
        No class is in both vocabularies, or a student is to see images that are no panoramas.
    """
    classes = data.about.classes
    lookup = class_lookup(model.classes, classes, data.kind)
    counts = []
    for index in range(len(data)):
        image, truth = data.labelled(index)
        counts.append(semantic_counts(lookup[_said(model, image, data, height)], truth.semantics, len(classes)))
    return {"mIoU": miou(reduce(add, counts))[0]}


def _said(model: SeamlessModel, image: NDArray[np.uint8], data: SeamlessData, height: int | None) -> NDArray[np.integer]:
    """Class map (H, W) of an image (H, W, 3)."""
    if not isinstance(model.network, SemanticNetwork):
        return find_in(model, image)[0]
    if not data.about.panoramas or height is None:
        raise ValueError(f"a student sees whole panoramas of a stated height; {data.kind} has {data.about.layout.example}")
    return _of_band(model, image, height)


def _of_band(model: SeamlessModel, band: NDArray[np.uint8], height: int) -> NDArray[np.integer]:
    """What a student says of a band around the horizon, shown the whole sphere with black above and below."""
    sphere = whole_sphere(band)
    found = model.network.find(model.normalised(resize_image(sphere, height)[None]))[0].semantics.cpu().numpy().astype(np.uint8)
    first = (len(sphere) - len(band)) // 2
    return resized(found, sphere.shape[:2])[first : first + len(band)]
