"""All figures of one panorama; :mod:`metrics.summary` has those of many together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.depth import align, depth_figures, depth_sums
from metrics.normals import normal_figures, normal_sums
from metrics.panoptic_items import panoptic_item
from metrics.protocols import Protocol
from metrics.seams import seam_figures
from metrics.semantics import confusion, semantic_figures, vocabulary_map
from metrics.weights import band_rows, kept_rows, row_weights

Labels = Mapping[str, NDArray]
Mask = NDArray[np.bool_]


def evaluate_item(
    labels: Labels,
    truth: Labels,
    label_classes: Sequence[str],
    truth_classes: Sequence[str],
    protocol: Protocol,
    truth_things: Sequence[str] = (),
    observed: Mask | None = None,
) -> dict[str, Any]:
    """Figures of one panorama's labels as JSON values.

    Parameters
    ----------
    labels : ERP arrays as the stage ``fuse`` gives them
    truth : ``depth``, ``normals``, ``semantics``, ``sky`` as in a data set of scenes, ``*_valid`` where it is known; may be empty
    label_classes, truth_classes : the two vocabularies
    protocol : Protocol
    truth_things : classes of the truth that have instances; without any, panoptic quality is not measured
    observed : (H, W) bool of the labels' size, what was photographed; shares are of it, and no truth outside it counts. All by
        default

    Returns
    -------
    dict
        ``coverage`` always; ``seams`` where there is depth, and ``truth_seams``, their floor, where the truth has it; ``depth``,
        ``normals``, ``semantics`` and ``panoptic`` where both sides have them, each with ``bands`` by latitude (but the last) and
        what pools its pixels over panoramas: ``sums`` or ``confusion``. None stands where no pixel counts.
    """
    figures: dict[str, Any] = {"coverage": coverage_figures(labels, protocol, observed)}
    if "depth" in labels:
        figures["seams"] = _numbers(seam_figures(labels["depth"], labels["depth_valid"]))
    if not truth:
        return figures
    counted = _counted(next(iter(truth.values())).shape[:2], protocol, observed)
    if "depth" in labels and "depth" in truth:
        figures["truth_seams"] = _numbers(seam_figures(truth["depth"], known_truth(truth, "depth") & counted.observed))
        figures["depth"] = _depth(labels, truth, counted, protocol)
    if "normals" in labels and "normals" in truth:
        figures["normals"] = _normals(labels, truth, counted)
    if "semantics" in labels and "semantics" in truth:
        figures["semantics"] = _semantics(labels, truth, counted, (label_classes, truth_classes), protocol.unmatched)
    if "panoptic" in labels and "instances" in truth and truth_things:
        figures["panoptic"] = _panoptic(labels, truth, counted, (label_classes, truth_classes, truth_things))
    return figures


def other_figures(
    labels: Labels, truth: Labels, protocols: Mapping[str, Protocol], observed: Mask | None = None
) -> dict[str, dict[str, float | None]]:
    """What further protocols say of depth and normals: name -> place -> figure, of those that the protocol shows.

    Protocols are by the name that they were asked for by; other arguments are those of :func:`evaluate_item`. Seams are not
    among the figures: they are alike in all protocols.
    """
    found: dict[str, dict[str, float | None]] = {}
    for name, protocol in protocols.items() if truth else ():
        counted = _counted(next(iter(truth.values())).shape[:2], protocol, observed)
        places = [(key, *key.split(".")) for key in protocol.figures]
        both = {group for _, group, _ in places} & labels.keys() & truth.keys()
        groups: dict[str, dict[str, Any]] = {}
        if "depth" in both:
            groups["depth"] = _depth(labels, truth, counted, protocol)
        if "normals" in both:
            groups["normals"] = _normals(labels, truth, counted)
        found[name] = {key: groups[group][figure] for key, group, figure in places if group in groups}
    return found


@dataclass(frozen=True)
class _Counted:
    """Pixels (H, W) of the truth that were photographed and those of them that a protocol keeps, weights, rows (H,) of bands."""

    observed: Mask
    kept: Mask
    weights: NDArray[np.floating]
    bands: Mapping[str, Mask]


def _counted(shape: tuple[int, int], protocol: Protocol, observed: Mask | None) -> _Counted:
    seen = np.ones(shape, bool) if observed is None else _nearest(observed, shape)
    kept = np.repeat(kept_rows(shape[0], protocol.pole_crop)[:, None], shape[1], axis=1)
    return _Counted(seen, kept & seen, _pixel_weights(shape, protocol), band_rows(shape[0]))


def _depth(labels: Labels, truth: Labels, counted: _Counted, protocol: Protocol) -> dict[str, Any]:
    said, true, valid = _depth_pair(labels, truth, protocol)
    valid &= counted.kept
    aligned = align(said, true, valid, counted.weights, protocol.alignment)
    if protocol.prediction_clip:
        aligned = np.where(aligned > 0, np.clip(aligned, *protocol.prediction_clip), aligned)
    pixels = (aligned, true, valid, counted.weights)
    return {**_with_bands(depth_figures, pixels, counted.bands, "abs_rel"), "sums": depth_sums(*pixels)}


def _normals(labels: Labels, truth: Labels, counted: _Counted) -> dict[str, Any]:
    shape = counted.kept.shape
    known = _nearest(labels["normals_valid"], shape) & known_truth(truth, "normals") & counted.kept
    pixels = (_nearest(labels["normals"], shape), truth["normals"], known, counted.weights)
    return {**_with_bands(normal_figures, pixels, counted.bands, "mean"), "sums": normal_sums(*pixels)}


def _semantics(
    labels: Labels, truth: Labels, counted: _Counted, vocabularies: tuple[Sequence[str], Sequence[str]], unmatched: str
) -> dict[str, Any]:
    shape, (label_classes, truth_classes) = counted.kept.shape, vocabularies
    to_truth = np.append(vocabulary_map(label_classes, truth_classes), -1)
    classes = to_truth[np.minimum(_nearest(labels["semantics"], shape), len(to_truth) - 1)]
    seen = _nearest(labels["semantics_valid"], shape) & truth.get("semantics_valid", True) & counted.kept
    pixels = (classes, truth["semantics"], seen, counted.weights)

    def count(said: NDArray, true: NDArray, valid: Mask, weights: NDArray) -> NDArray[np.floating]:
        return confusion(said, true, valid, weights, len(truth_classes), unmatched)

    figures = _with_bands(lambda *arrays: semantic_figures(count(*arrays)), pixels, counted.bands, "pixel_accuracy")
    return {**figures, "confusion": np.round(count(*pixels), 6).tolist()}


def _panoptic(
    labels: Labels, truth: Labels, counted: _Counted, vocabularies: tuple[Sequence[str], Sequence[str], Sequence[str]]
) -> dict[str, Any]:
    names = ("instances", "panoptic", "panoptic_valid", "semantics")
    sized = {name: _nearest(labels[name], counted.kept.shape) for name in names if name in labels}
    return panoptic_item(sized, truth, vocabularies, counted.kept, counted.weights)


def coverage_figures(labels: Labels, protocol: Protocol, observed: Mask | None = None) -> dict[str, float | None]:
    """What can be said without truth: share of valid pixels, and the mean of each confidence over them, in [0, 1].

    Shares are of what was photographed, ``observed`` (H, W), and of the whole sphere without it.

    Depth consistency is averaged over pixels on which two views or more have a say: elsewhere there is nothing to agree with,
    and it is zero. A mean over no pixel is None.
    """
    figures: dict[str, float | None] = {}
    for name, confidence in (("depth", "consistency"), ("normals", "agreement"), ("semantics", "confidence")):
        if name in labels:
            valid = labels[f"{name}_valid"]
            weights = _observed_weights(valid.shape, protocol, observed)
            figures[name] = float((weights * valid).sum() / weights.sum())
            judged = valid & (labels["depth_consistency"] > 0) if name == "depth" else valid
            sure = labels[f"{name}_{confidence}"][judged]
            figures[f"{name}_{confidence}"] = float(np.average(sure, weights=weights[judged]) / 255) if judged.any() else None
    if "sky" in labels:
        figures["sky"] = float(np.average(labels["sky"], weights=_observed_weights(labels["sky"].shape, protocol, observed)))
    return figures


def _observed_weights(shape: tuple[int, ...], protocol: Protocol, observed: Mask | None) -> NDArray[np.floating]:
    weights = _pixel_weights(shape, protocol)
    return weights if observed is None else weights * observed


def _pixel_weights(shape: tuple[int, ...], protocol: Protocol) -> NDArray[np.floating]:
    return np.repeat(row_weights(shape[0], protocol.by_area)[:, None], shape[1], axis=1)


def _with_bands(
    measure: Callable[..., dict[str, Any]], arrays: Sequence[NDArray], bands: Mapping[str, Mask], shown: str
) -> dict[str, Any]:
    """Figures of whole arrays (H, ...), and one of them, ``shown``, by latitude band."""
    by_band = {name: measure(*(array[rows] for array in arrays))[shown] for name, rows in bands.items()}
    return {**measure(*arrays), "bands": by_band}


def _depth_pair(labels: Labels, truth: Labels, protocol: Protocol) -> tuple[NDArray, NDArray, Mask]:
    """Prediction at the truth's size, truth as the protocol clips it, and where both count."""
    shape = truth["depth"].shape
    said, valid = labels["depth"], labels["depth_valid"]
    if said.shape != shape:
        size = (shape[1], shape[0])
        # Bilinear among valid pixels only: zeros of the invalid ones must not bleed in.
        share = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        total = cv2.resize(np.where(valid, said, 0).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        said, valid = total / np.maximum(share, 1e-6), share > 0.5
    true = truth["depth"]
    counts = valid & known_truth(truth, "depth") & (true > protocol.truth_range[0]) & (true < protocol.truth_range[1])
    return said, np.clip(true, *protocol.clip) if protocol.clip else true, counts


def known_truth(truth: Labels, name: str) -> Mask:
    """Where (H, W) there is truth of ``depth`` or ``normals``: not in the sky, and where its ``*_valid``, if any, says so."""
    known = truth.get(f"{name}_valid", np.ones(truth[name].shape[:2], bool))
    return known & ~truth["sky"].astype(bool) if "sky" in truth else known


def _nearest(array: NDArray, shape: tuple[int, int]) -> NDArray:
    if array.shape[:2] == shape:
        return array
    rows = (np.arange(shape[0]) + 0.5) * array.shape[0] // shape[0]
    columns = (np.arange(shape[1]) + 0.5) * array.shape[1] // shape[1]
    return array[rows.astype(int)[:, None], columns.astype(int)[None, :]]


def _numbers(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(value) if np.isfinite(value) else None for name, value in figures.items()}
