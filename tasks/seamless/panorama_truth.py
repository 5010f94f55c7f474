"""Truth of panoramas in the terms of a seamless network: the layout that ``panolabel scenes`` writes, at the working size.

Used to measure; nothing that trains imports this.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.seamless.amodal_panoptic import NO_STUFF, AmodalPanoptic
from metrics.seamless.objects import Objects
from metrics.seamless.panoptic import VOID, PanopticMap
from metrics.seamless.suite import SeamlessLabels
from models.adaptation.pseudo_labels import IGNORED
from storage.urls import exists, join, read_bytes
from tasks.evaluate.evaluate import read_classes
from tasks.stage.job import BadItem


@dataclass(frozen=True)
class TruthSource:
    """Where truth lies, and what its classes are in the network's vocabulary (``IGNORED`` where it has no such class)."""

    url: str
    lookup: NDArray[np.uint8]
    things: range

    def read(self, item: str, height: int, observed: NDArray[np.bool_] | None = None) -> SeamlessLabels | None:
        """Truth of one panorama at (height, 2 * height), or None if there is none.

        It is void where nothing was photographed, ``observed`` of that size; objects are judged by what was seen of them.

        Raises
        ------
        BadItem
            A file cannot be read, or holds something else.
        """
        paths = [join(self.url, "truth", f"{item}{end}") for end in (".npz", "_amodal.json")]
        if not all(exists(path) for path in paths):
            return None
        try:
            with np.load(io.BytesIO(read_bytes(paths[0])), allow_pickle=False) as arrays:
                semantics, instances = arrays["semantics"], arrays["instances"]
            objects = json.loads(read_bytes(paths[1]))
            seen = np.ones((height, 2 * height), bool) if observed is None else observed
            return self._labels(semantics, instances, objects, seen)
        except Exception as error:  # zipfile, zlib, json and NumPy's parser of headers have many of their own
            raise BadItem(f"{paths[0]}: the truth cannot be read: {type(error).__name__}: {error}") from error

    def _labels(
        self, semantics: NDArray, instances: NDArray, objects: Sequence[dict[str, Any]], observed: NDArray[np.bool_]
    ) -> SeamlessLabels:
        size = (observed.shape[0], observed.shape[1])
        classes = np.where(observed, self.lookup[resized(semantics, size)], np.uint8(IGNORED))
        ids = resized(instances, size)
        own = [one for one in objects if int(self.lookup[one["class"]]) in self.things]
        decoded = (_decoded(one["mask"], semantics.shape).astype(np.uint8) for one in own)
        wholes = [observed & resized(mask, size).astype(bool) for mask in decoded]
        visible = [observed & (ids == one["instance"]) for one in own]
        labels = np.array([self.lookup[one["class"]] for one in own], np.int64)
        is_thing = (classes >= self.things.start) & (classes < self.things.stop)
        stuff = np.where(is_thing | (classes == IGNORED), NO_STUFF, classes.astype(np.int16))
        shown, hidden = (_chosen(masks, labels, size) for masks in (visible, wholes))
        panoptic = _panoptic(stuff, shown)
        void = (classes == IGNORED) | (is_thing & (panoptic.segments == VOID))
        return SeamlessLabels(classes, panoptic, AmodalPanoptic(stuff, hidden, void), shown, hidden)


def truth_source(url: str, classes: Sequence[str], things: range) -> TruthSource:
    """The truth of a data set folder, for a network with these classes.

    Raises
    ------
    ValueError
        The data set and the network have no class in common.
    """
    return TruthSource(url, class_lookup(read_classes(url), classes, url), things)


def class_lookup(theirs: Sequence[str], ours: Sequence[str], what: str) -> NDArray[np.uint8]:
    """(65536,) uint8: class of theirs -> class of ours of the same name, or ``IGNORED``.

    Raises
    ------
    ValueError
        There is no class in common; the message names ``what`` theirs are.
    """
    lookup = np.full(2**16, IGNORED, np.uint8)
    for index, name in enumerate(theirs):
        if name in ours:
            lookup[index] = list(ours).index(name)
    if (lookup == IGNORED).all():
        shown = " and the model's ".join(f"({', '.join(names[:3])}, ...)" for names in (theirs, ours))
        raise ValueError(f"{what}: its classes {shown} differ")
    return lookup


def resized(labels: NDArray, size: tuple[int, int]) -> NDArray:
    """A map of labels (h, w) at another size (H, W), of the same dtype: each pixel takes the nearest one's."""
    return labels if labels.shape == size else cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)


def _decoded(encoded: dict[str, Any], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask (H, W) from COCO's uncompressed run lengths, column by column, zeros first; ValueError if it is of another size."""
    height, width = encoded["size"]
    if (height, width) != size:
        raise ValueError(f"a mask is of {height}x{width}, its panorama of {size[0]}x{size[1]}")
    values = np.arange(len(encoded["counts"])) % 2 == 1
    return np.repeat(values, encoded["counts"]).reshape(width, height).T


def _chosen(masks: Sequence[NDArray], labels: NDArray[np.int64], size: tuple[int, int]) -> Objects:
    """Those of which anything is left at the working size."""
    stack = np.array(masks, bool).reshape(-1, *size)
    there = stack.any(axis=(1, 2))
    return Objects(stack[there], labels[there])


def _panoptic(stuff: NDArray[np.int16], visible: Objects) -> PanopticMap:
    seen = np.unique(stuff[stuff != NO_STUFF])
    segments = np.where(stuff != NO_STUFF, np.searchsorted(seen, stuff) + len(visible), VOID).astype(np.int32)
    for index, mask in enumerate(visible.masks):
        segments[mask] = index
    return PanopticMap(segments, np.concatenate([visible.classes, seen]).astype(np.int64))
