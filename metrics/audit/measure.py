"""Everything that the audit measures of one panorama: sums by split and band, at every place along a label's path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.fusion.depth import pack_log_distance
from geometry.fusion.sightings import Sightings, solid_angles
from geometry.resampling.patches import extract_nearest
from geometry.spheres import View
from metrics.audit.attribution import COLUMNS, LEVELS, class_overlap
from metrics.audit.bands import OFF_AXIS, Split, in_ranges, range_names, split_bands
from metrics.normals import angles
from metrics.weights import row_weights

Array = NDArray[np.floating]
Labels = Mapping[str, NDArray]
Row = tuple[str, str, str, str]

FIGURES = {"depth": ("abs_rel", "log"), "normals": ("angle",), "semantics": ("wrong",)}
"""Task -> its errors: relative and log distance, degrees, share of wrong pixels. The first one is shown on maps."""
OWN_AXIS = "view_off_axis"
"""A split of the patch level alone: degrees from the axis of the view that speaks."""
MAP = (32, 64)
PATCH_MAP = (16, 16)


def rows_of(classes: Sequence[str]) -> list[Row]:
    """Task, figure, split and band of every row of sums, for the truth's vocabulary."""
    bands = {**split_bands(classes), OWN_AXIS: range_names(OFF_AXIS, end=True)}
    return [
        (task, figure, split, band)
        for task, figures in FIGURES.items()
        for figure in figures
        for split, names in bands.items()
        for band in names
    ]


def errors(task: str, said: NDArray, true: NDArray) -> Array:
    """Errors (figures, M) of M labels in the order of :data:`FIGURES`."""
    if task == "depth":
        said, true = said.astype(np.float64), true.astype(np.float64)
        return np.stack([np.abs(said - true) / true, np.abs(np.log(said / true))])
    return (angles(said, true) if task == "normals" else (said != true).astype(np.float64))[None]


@dataclass(frozen=True)
class Path:
    """One task's labels of one panorama at every place; a class outside the truth's vocabulary is -1.

    Attributes
    ----------
    task : str
    said, true : (N, h, w[, 3]) arrays
        The teacher's patches and the truth's.
    both : (N, h, w) bool
        Where both say something.
    truth, fused, floor : (H, W[, 3]) arrays
    known, judged : (H, W) bool
        Where the truth says something, and where all three do.
    """

    task: str
    said: NDArray
    true: NDArray
    both: NDArray[np.bool_]
    truth: NDArray
    fused: NDArray
    floor: NDArray
    known: NDArray[np.bool_]
    judged: NDArray[np.bool_]


def make_path(task: str, said: Field, true: Field, truth: Labels, fused: Labels, floor: Labels) -> Path:
    """The path of ``task``; ERP labels have ``<task>`` and ``<task>_valid``, and both fields are canonical and in one unit."""
    known = [one[f"{task}_valid"] for one in (truth, fused, floor)]
    if task == "semantics":
        patches = [one.values[..., 0].astype(np.int64) for one in (said, true)]
        labels = [one[task].astype(np.int64) for one in (truth, fused, floor)]
    else:
        patches, labels = [said.values, true.values], [one[task] for one in (truth, fused, floor)]
    return Path(
        task,
        said=patches[0],
        true=patches[1],
        both=said.valid & true.valid,
        truth=labels[0],
        fused=labels[1],
        floor=labels[2],
        known=known[0],
        judged=known[0] & known[1] & known[2],
    )


@dataclass(frozen=True)
class Measured:
    """Sums of one task of one panorama.

    Attributes
    ----------
    sums : {(figure, split): (bands, 7) float64} in the order of :data:`metrics.audit.attribution.COLUMNS`
    overlap : (5, 3, classes) float64
        For semantics, :func:`metrics.audit.attribution.class_overlap` of every level; else zeros.
    erp_map : (2, 32, 64) float64
        Weighted first error of the fused labels, and weight, by direction.
    patch_map : (2, 16, 16) float64
        Weighted first error of the teacher, and weight, by place in the patch.
    judged : float
        Share of the truth's solid angle that was judged.
    """

    sums: Mapping[tuple[str, str], Array]
    overlap: Array
    erp_map: Array
    patch_map: Array
    judged: float


def measure(path: Path, cameras: Sequence[View], seen: Sequence[Sightings], parts: Sequence[Split], classes: int) -> Measured:
    """Errors of one task at every level, added up by split and band.

    Parameters
    ----------
    path : Path
    cameras : N cameras
    seen : N sightings, one a camera, at the size of the ERP labels
    parts : splits of the ERP
    classes : size of the truth's vocabulary
    """
    height, width = path.judged.shape
    area = np.repeat(row_weights(height, by_area=True), width)
    views = _count_views(path, seen)
    judged = np.flatnonzero(path.judged.ravel() & (views > 0))
    share = np.zeros(views.shape)
    share[judged] = 1 / views[judged]
    patch = _in_patches(path, cameras, share, classes)
    single, single_truth, overlap_single = _single_views(path, seen, share, area, classes)
    truth, fused, floor = (one.reshape(-1, *one.shape[2:])[judged] for one in (path.truth, path.fused, path.floor))
    ends = np.zeros((2, len(single), len(area)))
    ends[:, :, judged] = errors(path.task, floor, truth), errors(path.task, fused, truth)
    weight = np.where(share > 0, area, 0)
    sums: dict[tuple[str, str], Array] = {}
    for number, figure in enumerate(FIGURES[path.task]):
        at_erp = [weight * level[number] for level in (single, single_truth, *ends)]
        columns = np.stack([patch.weight, patch.error[number], weight, *at_erp])
        sums |= {(figure, split.name): split.sums(columns) for split in parts}
        sums[figure, OWN_AXIS] = patch.own_axis[number]
    overlap = np.zeros((len(LEVELS), 3, classes))
    if path.task == "semantics":
        of_ends = (class_overlap(one, truth, weight[judged], classes) for one in (floor, fused))
        overlap[:] = [patch.overlap, *overlap_single, *of_ends]
    known = float(area[path.known.ravel()].sum())
    erp_map = _on_grid(judged // width / height, judged % width / width, MAP, weight[judged], ends[1, 0, judged])
    return Measured(sums, overlap, erp_map, patch.patch_map, float(weight.sum()) / known if known else 0.0)


def _count_views(path: Path, seen: Sequence[Sightings]) -> NDArray[np.int64]:
    """How many views say something at each ERP pixel (H * W,)."""
    views = np.zeros(path.judged.size, np.int64)
    for view, both in zip(seen, path.both, strict=True):
        views[view.pixel] += both.ravel()[view.patch]
    return views


def _single_views(
    path: Path, seen: Sequence[Sightings], share: Array, area: Array, classes: int
) -> tuple[Array, Array, list[Array]]:
    """Errors (figures, H * W) of the teacher's single views and of the truth's, averaged over the views of each pixel.

    For semantics also the :func:`class_overlap` of both.
    """
    truth = path.truth.reshape(-1, *path.truth.shape[2:])
    found = np.zeros((2, len(FIGURES[path.task]), len(truth)))
    overlap = np.zeros((2, 3, classes))
    for number, view in enumerate(seen):
        kept = path.both[number].ravel()[view.patch] & (share[view.pixel] > 0)
        pixel = view.pixel[kept]
        for side, patches in enumerate((path.said, path.true)):
            brought = _at_sightings(path.task, patches[number], path.both[number], view)[kept]
            found[side][:, pixel] += share[pixel] * errors(path.task, brought, truth[pixel])
            if path.task == "semantics":
                overlap[side] += class_overlap(brought, truth[pixel], share[pixel] * area[pixel], classes)
    return found[0], found[1], list(overlap)


def _at_sightings(task: str, patch: NDArray, valid: NDArray[np.bool_], view: Sightings) -> NDArray:
    """Labels (M[, 3]) of one patch at the ERP pixels that its view sees, brought there as fusion does."""
    if task != "depth":
        return patch.reshape(-1, *patch.shape[2:])[view.patch]
    found = pack_log_distance(patch, valid.astype(np.float32))[view.patch]
    return np.exp(found[:, 0] + found[:, 1] * view.dx + found[:, 2] * view.dy)


@dataclass(frozen=True)
class _InPatches:
    """The level ``patch``.

    ``weight`` (H * W,) and weighted ``error`` (figures, H * W) of the patch pixels whose direction each ERP pixel holds;
    ``own_axis`` (figures, bands, 7): sums by the angle from the own view's axis; ``overlap`` (3, classes); ``patch_map``.
    """

    weight: Array
    error: Array
    own_axis: Array
    overlap: Array
    patch_map: Array


def _in_patches(path: Path, cameras: Sequence[View], share: Array, classes: int) -> _InPatches:
    shape, figures, bands = path.judged.shape, len(FIGURES[path.task]), range_names(OFF_AXIS, end=True)
    pixels = extract_nearest(np.arange(share.size, dtype=np.int32).reshape(shape), cameras)
    weights, summed = np.zeros(share.size), np.zeros((figures, share.size))
    own_axis, overlap, patch_map = (
        np.zeros((figures, len(bands), len(COLUMNS))),
        np.zeros((3, classes)),
        np.zeros((2, *PATCH_MAP)),
    )
    for camera, said, true, both, pixel in zip(cameras, path.said, path.true, path.both, pixels, strict=True):
        kept = both & (share[pixel] > 0)
        weight, pixel = (solid_angles(camera) * share[pixel])[kept], pixel[kept]
        error = errors(path.task, said[kept], true[kept])
        np.add.at(weights, pixel, weight)
        own = Split(OWN_AXIS, bands, in_ranges(np.degrees(np.arccos(camera.rays()[..., 2])), OFF_AXIS, end=True)[kept])
        for number in range(figures):
            np.add.at(summed[number], pixel, weight * error[number])
            own_axis[number, :, :2] += own.sums(np.stack([weight, weight * error[number]]))
        row, column = np.nonzero(kept)
        patch_map += _on_grid(row / camera.height, column / camera.width, PATCH_MAP, weight, error[0])
        if path.task == "semantics":
            overlap += class_overlap(said[kept], true[kept], weight, classes)
    return _InPatches(weights, summed, own_axis, overlap, patch_map)


def _on_grid(down: Array, across: Array, size: tuple[int, int], weight: Array, error: Array) -> Array:
    """Sums (2, rows, columns) of weighted errors and of weights by place; ``down`` and ``across`` lie in [0, 1)."""
    cell = (down * size[0]).astype(np.intp) * size[1] + (across * size[1]).astype(np.intp)
    summed = np.stack([np.bincount(cell, values, size[0] * size[1]) for values in (weight * error, weight)])
    return summed.astype(np.float64).reshape(2, *size)
