"""Objects and regions of a panorama as arrays of the same shape for every panorama: masks as bits, empty room at the end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.adaptation.pseudo_labels import IGNORED
from models.seamless.fusion import Detections

CONFIDENCE = 65535
"""Of which a stored confidence, uint16, is a share."""
NOBODY = -1.0
"""Score of room that is not used."""


def pack_mask(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(..., W) bool -> (..., ceil(W / 8)) uint8."""
    return np.packbits(masks, axis=-1)


def unpack_mask(bits: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """(..., ceil(W / 8)) uint8 that :func:`pack_mask` packed -> (..., W) bool, where ``width`` is W."""
    return np.unpackbits(bits, axis=-1, count=width).view(np.bool_)


def pack_objects(name: str, masks: NDArray[np.bool_], classes: NDArray, scores: NDArray, room: int) -> dict[str, NDArray]:
    """Arrays ``<name>_masks`` (room, H, ceil(W / 8)), ``_classes`` uint8 and ``_scores`` float32 of up to ``room`` objects.

    Raises
    ------
    ValueError
        If there are more.
    """
    count = len(masks)
    if count > room:
        raise ValueError(f"{count} {name} do not fit into the room of {room}")
    bits = np.zeros((room, masks.shape[1], -(-masks.shape[2] // 8)), np.uint8)
    labels, sure = np.zeros(room, np.uint8), np.full(room, NOBODY, np.float32)
    bits[:count], labels[:count], sure[:count] = pack_mask(masks), classes, scores
    return {f"{name}_masks": bits, f"{name}_classes": labels, f"{name}_scores": sure}


def unpack_objects(name: str, arrays: Mapping[str, NDArray], width: int) -> Detections:
    """The N objects that :func:`pack_objects` packed: masks (N, H, width) bool, classes (N,) int64, scores (N,) float32."""
    labels, scores = unpack_scores(name, arrays)
    return Detections(unpack_mask(arrays[f"{name}_masks"][: len(labels)], width), labels, scores)


def unpack_scores(name: str, arrays: Mapping[str, NDArray]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Classes and scores (N,) alone, without masks."""
    scores = arrays[f"{name}_scores"]
    there = scores != NOBODY
    return arrays[f"{name}_classes"][there].astype(np.int64), scores[there]


def objects_within(found: Detections, observed: NDArray[np.bool_]) -> Detections:
    """What of each object was photographed, ``observed`` (H, W); those of which nothing was are left out."""
    masks = found.masks & observed
    there = masks.any(axis=(1, 2))
    return Detections(masks[there], found.classes[there], found.scores[there])


def classes_within(semantics: NDArray[np.uint8], observed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The class map (H, W), ``IGNORED`` where nothing was photographed."""
    return np.where(observed, semantics, np.uint8(IGNORED))


def pack_observed(observed: NDArray[np.bool_] | None, size: tuple[int, int]) -> dict[str, NDArray[np.uint8]]:
    """Array ``observed`` (H, ceil(W / 8)), what was photographed of a panorama of that size; all of it for None."""
    return {"observed": pack_mask(np.ones(size, bool) if observed is None else observed)}


def unpack_observed(arrays: Mapping[str, NDArray]) -> NDArray[np.bool_]:
    """What :func:`pack_observed` packed, beside ``semantics`` (H, W)."""
    return unpack_mask(arrays["observed"], arrays["semantics"].shape[1])


def pack_confidence(confidence: NDArray[np.floating]) -> NDArray[np.uint16]:
    """(H, W) floats from 0 to 1 -> (H, W) uint16, shares of :data:`CONFIDENCE`, rounded."""
    return np.rint(np.clip(confidence, 0, 1) * CONFIDENCE).astype(np.uint16)


def unpack_confidence(stored: NDArray[np.uint16]) -> NDArray[np.float32]:
    """(H, W) float32 from 0 to 1 again, off by at most 1 / 131070."""
    return stored.astype(np.float32) / np.float32(CONFIDENCE)
