"""Occlusion-aware fusion: a class map and the detections of two branches become panoptic and amodal panoptic maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]
NOTHING = -1
IGNORED = 255


@dataclass(frozen=True, eq=False)
class Detections:
    """``masks`` (N, H, W) bool, ``classes`` (N,) int and ``scores`` (N,) float of one branch on one panorama."""

    masks: Mask
    classes: Integers
    scores: Floats


@dataclass(frozen=True)
class FusionRule:
    """``things``: the Thing classes; ``instance_score``, ``amodal_score``: the least that are used; ``least_stuff``: pixels.

    The scores have no default: the release takes others for the source model than for the adapted one, which alone moves its
    figures. Choose them once, on source data, for every model that is compared.
    """

    things: range
    instance_score: float
    amodal_score: float
    least_stuff: int = 2048


@dataclass(frozen=True, eq=False)
class SeamlessMaps:
    """What fusion adds to the class map and the raw detections.

    ``segments`` (H, W) int32 with ``segment_classes`` (S,): the panoptic map, ``NOTHING`` where void. ``stuff`` (H, W) int16:
    class of visible stuff, else ``NOTHING``. ``wholes``: amodal detections that were used, surest first, with classes from
    semantics.
    """

    segments: NDArray[np.int32]
    segment_classes: Integers
    stuff: NDArray[np.int16]
    wholes: Detections


def fuse_branches(semantics: Integers, instances: Detections, amodals: Detections, rule: FusionRule) -> SeamlessMaps:
    """The panoptic and the amodal panoptic map of one panorama.

    Parameters
    ----------
    semantics : (H, W) int, the surest class of each pixel, 255 where nothing is said
    instances, amodals : raw detections of the two branches

    Notes
    -----
    Of overlapping instances the surer one gets the pixels. Whole masks stay whole, behind stuff too. A detection without a Thing
    pixel, and stuff of fewer pixels than ``least_stuff``, are left out.
    """
    is_thing = (semantics >= rule.things.start) & (semantics < rule.things.stop)
    stuff = _large_stuff(semantics, is_thing, rule)
    owners, classes = _paint(semantics, is_thing, _sure(instances, rule.instance_score), rule)
    seen = np.unique(stuff[stuff != NOTHING])
    stuff_ids = np.searchsorted(seen, stuff) + len(classes)
    segments = np.where(stuff != NOTHING, stuff_ids, owners).astype(np.int32)
    wholes = _wholes(semantics, is_thing, _sure(amodals, rule.amodal_score), rule)
    return SeamlessMaps(segments, np.concatenate([classes, seen]).astype(np.int64), stuff, wholes)


def _sure(given: Detections, least: float) -> Detections:
    """Those with at least that score, surest first; of equal scores in their order."""
    order = np.argsort(-given.scores, kind="stable")
    order = order[given.scores[order] >= least]
    return Detections(given.masks[order], given.classes[order], given.scores[order])


def _large_stuff(semantics: Integers, is_thing: Mask, rule: FusionRule) -> NDArray[np.int16]:
    stuff = np.where(is_thing | (semantics == IGNORED), NOTHING, semantics.astype(np.int16))
    areas = np.bincount(stuff[stuff != NOTHING], minlength=1)
    small = np.flatnonzero(areas < rule.least_stuff)
    stuff[np.isin(stuff, small)] = NOTHING
    return stuff


def _paint(semantics: Integers, is_thing: Mask, sure: Detections, rule: FusionRule) -> tuple[Integers, Integers]:
    """Which instance owns each pixel (H, W), and the classes (K,) of those that own any."""
    owners = np.full(semantics.shape, NOTHING, np.int32)
    classes: list[int] = []
    for mask in sure.masks:
        own = mask & is_thing & (owners == NOTHING)
        if own.any():
            owners[own] = len(classes)
            classes.append(_commonest(semantics[own], rule))
    return owners, np.array(classes, np.int64)


def _wholes(semantics: Integers, is_thing: Mask, sure: Detections, rule: FusionRule) -> Detections:
    claims = sure.masks.sum(axis=0, dtype=np.int32)
    kept, classes = np.zeros(len(sure.masks), bool), np.zeros(len(sure.masks), np.int64)
    for index, mask in enumerate(sure.masks):
        supported = mask & is_thing
        alone = supported & (claims == 1)
        voters = semantics[alone] if alone.any() else semantics[supported]
        if len(voters):
            kept[index], classes[index] = True, _commonest(voters, rule)
    return Detections(sure.masks[kept], classes[kept], sure.scores[kept])


def _commonest(labels: Integers, rule: FusionRule) -> int:
    """The commonest Thing class; of equally common ones the lowest."""
    return int(np.bincount(labels - rule.things.start, minlength=len(rule.things)).argmax()) + rule.things.start
