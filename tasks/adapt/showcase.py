"""Pictures of an adaptation: what is learned of a panorama, and the five maps of the source model and of the adapted one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.objects import Objects
from metrics.seamless.panoptic import VOID
from metrics.seamless.suite import SeamlessLabels
from models.adaptation.pseudo_labels import IGNORED
from models.seamless.saved import SeamlessModel
from storage.arrays import BlockReader
from tasks.adapt.arrays import unpack_observed
from tasks.adapt.compare import Said, found_by, fused, said_of
from tasks.adapt.omni import unpack_labels
from tasks.adapt.settings import Scoring
from tasks.pages.pictures import Picture, palette, panorama_picture, semantics_picture
from tasks.seamless.model import loaded_model, model_of_block
from tasks.seamless.vocabulary import things_of
from tasks.stage.devices import resolve_device
from tasks.stage.made import Made, MadeBlock

Mask = NDArray[np.bool_]
INPUT, LEARNED, SOURCE, ADAPTED = "input", "what is learned", "source model", "adapted model"
"""Rows of pictures of a panorama."""
UNCERTAIN = (250, 70, 210)
"""Colour of pixels where nothing is learned."""


@dataclass(frozen=True)
class Labelled:
    """A panorama with what is learned of it.

    ``about`` is what its receipt says of the outputs; ``predicted`` and ``labels`` are its arrays of the stages ``predict`` and
    ``omni``.
    """

    about: Mapping[str, Any]
    predicted: Mapping[str, NDArray]
    labels: Mapping[str, NDArray]


def labelled(predict: MadeBlock, omni: MadeBlock, slot: int) -> Labelled:
    """What a slot of two blocks of the same panoramas holds."""
    seen, learned = (BlockReader(url, receipt.files).item(slot) for url, _, receipt in (predict, omni))
    return Labelled(omni[2].about, seen, learned)


def adapted_model(adapt: Made) -> SeamlessModel | None:
    """The adapted model, on the pipeline's device; None where it is not there yet."""
    device = resolve_device(adapt.execution.device)
    for _, block, _ in adapt.blocks:
        return loaded_model(*model_of_block(adapt.stage, block.name), device)
    return None


def learned_pictures(one: Labelled) -> dict[str, dict[str, Picture]]:
    """The panorama, and what is learned of it, as rows of named pictures."""
    panorama = panorama_picture(one.predicted["pixels"], unpack_observed(one.predicted))
    return {
        INPUT: {"panorama": panorama},
        LEARNED: label_pictures(one.predicted["pixels"], one.labels, len(one.about["classes"])),
    }


def label_pictures(pixels: NDArray[np.uint8], labels: Mapping[str, NDArray], classes: int) -> dict[str, Picture]:
    """What is learned of a panorama (H, W, 3) uint8: its classes, visible objects and whole objects, as pictures like it."""
    semantics = labels["semantics"]
    shown = {"classes": semantics_picture(semantics, semantics != IGNORED, classes)}
    for branch, name in (("instances", "visible objects"), ("amodals", "whole objects")):
        learned = unpack_labels(branch, labels)
        shown[name] = objects_picture(pixels, learned.masks, learned.uncertain)
    return shown


def objects_picture(pixels: NDArray[np.uint8], masks: Mask, uncertain: Mask | None = None) -> Picture:
    """Each object in a colour of its own over the grey panorama, mixed where they overlap; uncertain pixels in pink.

    Takes ``pixels`` (H, W, 3) uint8, ``masks`` (N, H, W) bool and ``uncertain`` (H, W) bool; gives (H, W, 3) uint8.
    """
    grey = np.repeat(pixels.mean(axis=2, keepdims=True) * 0.5, 3, axis=2)
    for mask, colour in zip(masks, palette(len(masks))):
        grey[mask] = (grey[mask] + colour) / 2
    if uncertain is not None:
        grey[uncertain] = UNCERTAIN
    return grey.astype(np.uint8)


def model_pictures(
    predicted: Mapping[str, NDArray], model: SeamlessModel | None, about: Mapping[str, Any], scoring: Scoring
) -> dict[str, dict[str, Picture]]:
    """The five maps, (H, W, 3) uint8, of one panorama by model, source and adapted, from the arrays of the stage ``predict``."""
    arms: dict[str, Said] = {SOURCE: said_of(predicted)}
    if model is not None:
        arms[ADAPTED] = found_by(model, predicted)
    things, classes = things_of(about), len(about["classes"])
    return {arm: map_pictures(predicted["pixels"], fused(*said, things, scoring), classes, scoring) for arm, said in arms.items()}


def map_pictures(pixels: NDArray[np.uint8], maps: SeamlessLabels, classes: int, scoring: Scoring) -> dict[str, Picture]:
    """The five maps of a panorama (H, W, 3) uint8 as pictures like it."""
    stuff, wholes = maps.amodal_panoptic.stuff, maps.amodal_panoptic.things
    behind = semantics_picture(stuff, stuff >= 0, classes)
    return {
        "semantic": semantics_picture(maps.semantics, maps.semantics != IGNORED, classes),
        "instance": objects_picture(pixels, _sure(maps.instances, scoring.instance_score)),
        "amodal instance": objects_picture(pixels, _sure(maps.amodals, scoring.amodal_score)),
        "panoptic": _panoptic_picture(maps, classes),
        "amodal panoptic": _layered(behind, wholes, classes),
    }


def _sure(found: Objects, least: float) -> Mask:
    return found.masks if found.scores is None else found.masks[found.scores >= least]


def _panoptic_picture(maps: SeamlessLabels, classes: int) -> Picture:
    """The colour of each segment's class, with lines between segments; lines close at the seam."""
    segments = maps.panoptic.segments
    known = segments != VOID
    labels = np.append(maps.panoptic.classes, 0)[np.where(known, segments, -1)]
    picture = semantics_picture(labels, known, classes)
    edges = segments != np.roll(segments, -1, axis=1)
    edges[:-1] |= segments[:-1] != segments[1:]
    picture[edges] = 255
    return picture


def _layered(behind: Picture, wholes: Objects, classes: int) -> Picture:
    """Whole objects in the colours of their classes, half transparent, outlined, over what is behind them."""
    picture, colours = behind.astype(np.float32), palette(classes)
    for mask, label in zip(wholes.masks[::-1], wholes.classes[::-1]):
        picture[mask] = (picture[mask] + colours[label]) / 2
        inside = mask & np.roll(mask, 1, axis=1) & np.roll(mask, -1, axis=1)
        inside[1:] &= mask[:-1]
        inside[:-1] &= mask[1:]
        picture[mask & ~inside] = 255
    return picture.astype(np.uint8)
