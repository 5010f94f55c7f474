"""A seamless network measured on labelled images, and the score thresholds of its panoptic maps chosen on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import torch
from numpy.typing import NDArray

from metrics.seamless.amodal_panoptic import NO_STUFF, AmodalPanoptic, amodal_panoptic_counts
from metrics.seamless.objects import Objects
from metrics.seamless.panoptic import VOID, PanopticMap, panoptic_counts
from metrics.seamless.quality import Figures, QualityCounts
from metrics.seamless.suite import SeamlessLabels, SuiteCounts, merged, suite_counts
from models.seamless.branch import BranchDetections
from models.seamless.fusion import Detections, FusionRule
from models.seamless.saved import SeamlessModel
from tasks.seamless.found import found_labels
from tasks.seamless.labels import SeamlessTruth
from tasks.seamless.reading import SeamlessData
from tasks.seamless.vocabularies import IGNORED, THINGS

STRIDE = 32
THRESHOLDS = tuple(round(0.3 + 0.05 * step, 2) for step in range(14))
"""Scores, 0.3 to 0.95, that are tried for either branch."""


def truth_labels(truth: SeamlessTruth) -> SeamlessLabels:
    """Labels as the metrics take them. ValueError if they do not say what is hidden."""
    if truth.wholes is None:
        raise ValueError("there are no amodal labels, without which mAPQ and mAAP cannot be measured")
    stuff = np.where(truth.semantics < THINGS.start, truth.semantics.astype(np.int64), NO_STUFF)
    seen = np.unique(stuff[stuff != NO_STUFF])
    segments = np.where(stuff != NO_STUFF, np.searchsorted(seen, stuff), VOID)
    for index, mask in enumerate(truth.visible):
        segments[mask] = len(seen) + index
    crowd = np.concatenate([np.zeros(len(seen), bool), truth.crowd])
    void = segments == VOID
    return SeamlessLabels(
        truth.semantics,
        PanopticMap(segments, np.concatenate([seen, truth.classes]), crowd),
        AmodalPanoptic(stuff, Objects(truth.wholes, truth.classes, crowd=truth.crowd), void),
        Objects(truth.visible, truth.classes, crowd=truth.crowd),
        Objects(truth.wholes, truth.classes, crowd=truth.crowd),
    )


def find_in(model: SeamlessModel, image: NDArray[np.uint8]) -> tuple[NDArray[np.int64], Detections, Detections]:
    """Classes (H, W) and both branches' detections of an image (H, W, 3) of any height.

    Raises
    ------
    ValueError
        The network takes images that close, and the width is no multiple of 32, so that it would have to be continued.
    """
    height, width = image.shape[:2]
    if model.network.settings.seam and width % STRIDE:
        raise ValueError(f"a panorama must be a multiple of {STRIDE} columns wide, not {width}")
    pixels = model.normalised(image[None])
    padded = torch.nn.functional.pad(pixels, (0, -width % STRIDE, 0, -height % STRIDE))
    found = model.network.find(padded)[0]
    semantics = found.semantics[:height, :width].cpu().numpy()
    return semantics, _detections(found.instances, height, width), _detections(found.amodals, height, width)


def _detections(found: BranchDetections, height: int, width: int) -> Detections:
    masks = found.masks[:, :height, :width].cpu().numpy()
    kept = masks.any(axis=(1, 2))
    return Detections(masks[kept], found.classes.cpu().numpy()[kept], found.scores.cpu().float().numpy()[kept])


def score(
    model: SeamlessModel, data: SeamlessData, least_stuff: int, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[Figures, FusionRule]:
    """The five figures, and the rule behind them: for each branch the lowest threshold with the best mPQ or mAPQ.

    Raises
    ------
    BadItem
        An image or its labels cannot be read.
    ValueError
        The network's classes are not those of the labels, or these do not say what is hidden.
    """
    _check_classes(model, data)
    rules = [FusionRule(THINGS, threshold, threshold, least_stuff) for threshold in thresholds]
    parts: list[SuiteCounts] = []
    panoptic: list[list[QualityCounts]] = [[] for _ in rules]
    amodal: list[list[QualityCounts]] = [[] for _ in rules]
    for index in range(len(data)):
        image, truth = data.labelled(index)
        labels, found = truth_labels(truth), find_in(model, image)
        parts.append(suite_counts(found_labels(*found, rules[0]), labels, len(model.classes)))
        for place, rule in enumerate(rules):
            said = found_labels(*found, rule)
            panoptic[place].append(panoptic_counts(said.panoptic, labels.panoptic, len(model.classes)))
            amodal[place].append(amodal_panoptic_counts(said.amodal_panoptic, labels.amodal_panoptic, len(model.classes)))
    (instance_score, instance_counts), (amodal_score, amodal_counts) = (_best(thresholds, each) for each in (panoptic, amodal))
    counts = replace(merged(parts), panoptic=instance_counts, amodal_panoptic=amodal_counts)
    return counts.figures(THINGS), FusionRule(THINGS, instance_score, amodal_score, least_stuff)


def measure(model: SeamlessModel, data: SeamlessData, rule: FusionRule) -> Figures:
    """The figures by a rule that was chosen on other data. Errors as :func:`score`."""
    _check_classes(model, data)
    parts = []
    for index in range(len(data)):
        image, truth = data.labelled(index)
        labels, said = truth_labels(truth), found_labels(*find_in(model, image), rule)
        parts.append(suite_counts(said, labels, len(model.classes)))
    return merged(parts).figures(THINGS)


def _check_classes(model: SeamlessModel, data: SeamlessData) -> None:
    if model.classes != data.about.classes:
        raise ValueError(f"the network's classes are not those of {data.kind}: {', '.join(model.classes)}")


def _best(thresholds: Sequence[float], counts: Sequence[Sequence[QualityCounts]]) -> tuple[float, QualityCounts]:
    """The lowest of the thresholds whose counts, summed over images, have the best quality."""
    sums = [reduce(add, each) for each in counts]
    place = int(np.argmax([each.figures(THINGS)["quality"] or 0.0 for each in sums]))
    return thresholds[place], sums[place]


def majority_labels(truth: SeamlessTruth, label: int) -> SeamlessLabels:
    """What one says who always says the same class of stuff and finds no object: the floor of every figure."""
    semantics = np.full(truth.semantics.shape, label, np.int64)
    nothing = Objects(np.zeros((0, *semantics.shape), bool), np.zeros(0, np.int64), np.zeros(0))
    segments = PanopticMap(np.zeros_like(semantics), np.array([label]))
    return SeamlessLabels(semantics, segments, AmodalPanoptic(semantics, nothing), nothing, nothing)


def majority_figures(data: SeamlessData) -> Figures:
    """Figures of :func:`majority_labels` with the class of stuff that most pixels have."""
    truths = [data.labelled(index)[1] for index in range(len(data))]
    pixels = np.sum([np.bincount(truth.semantics.ravel(), minlength=IGNORED + 1) for truth in truths], axis=0)
    label, classes = int(np.argmax(pixels[: THINGS.start])), len(data.about.classes)
    counts = [suite_counts(majority_labels(truth, label), truth_labels(truth), classes) for truth in truths]
    return merged(counts).figures(THINGS)
