"""Instances of many views into one map of ids on the sphere, a table, and whole masks: :func:`fuse_instances`.

Masks of one object are merged first (:mod:`geometry.instance_merge`). Then every view votes at every pixel with its weight:
first whether there is an object, then which. Votes are kept for pixels that some view gives to an object only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geometry.backproject import BackProjection, backprojection, by_band, view_weight
from geometry.cameras import Camera
from geometry.fields import Field
from geometry.instance_merge import Segments, merge_segments, pair_areas, segments_of
from geometry.spherical_masks import SphericalMask, mask_of_pixels, masks_of_ids, pack_masks, pixel_areas

FloatArray = NDArray[np.floating]
MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class InstanceSettings:
    """How masks of many views become instances.

    Parameters
    ----------
    overlap : {"iou", "smaller"}
        Measure of overlap of two masks where both views look: over their union, or over the smaller of them.
    threshold : float
        Overlap, in (0, 1], from which two masks of one class are one object.
    min_visible : float
        An instance must win this share of the area that views gave to it; one that does not is a double of another, and dropped.
    off_axis_power, edge_feather : float
        Weights of views, as for all other fields.

    Raises
    ------
    ValueError
        If a setting is outside its range.
    """

    overlap: Literal["iou", "smaller"] = "iou"
    threshold: float = 0.5
    min_visible: float = 0.5
    off_axis_power: float = 4.0
    edge_feather: float = 0.2

    def __post_init__(self) -> None:
        if self.overlap not in ("iou", "smaller"):
            raise ValueError(f"overlap must be iou or smaller, got {self.overlap!r}")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must lie in (0, 1], got {self.threshold}")
        if not 0 <= self.min_visible <= 1:
            raise ValueError(f"min_visible must lie in [0, 1], got {self.min_visible}")


@dataclass(frozen=True, eq=False)
class Votes:
    """Who claims which pixel: one entry for each (pixel, instance), ascending.

    ``pixel`` (V,) int64 flat index, ``instance`` (V,) from 1, ``weight`` (V,) float64; ``against`` (H * W,) float64 is the weight
    of views that see no object there.
    """

    pixel: NDArray[np.int64]
    instance: NDArray[np.int64]
    weight: FloatArray
    against: FloatArray

    @cached_property
    def first(self) -> NDArray[np.intp]:
        """(G,) the first entry of each pixel that has any."""
        return np.flatnonzero(np.diff(self.pixel, prepend=-1))

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """(V,) which of the G pixels each entry belongs to."""
        return np.repeat(np.arange(len(self.first)), np.diff(np.append(self.first, len(self.pixel))))

    @cached_property
    def claimed(self) -> NDArray[np.bool_]:
        """(G,) whether an object is there: all instances together have as many votes as those who see none."""
        return np.asarray(np.add.reduceat(self.weight, self.first) >= self.against[self.pixel[self.first]])

    def winners(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The instance (H * W,) of each pixel, 0 for none: the one with most votes among those that are ``kept`` (K + 1,)."""
        ids = np.zeros(len(self.against), np.int64)
        if len(self.pixel):
            claims = np.where(kept[self.instance], self.weight, 0)
            best = np.where(self.claimed, np.maximum.reduceat(claims, self.first), 0)
            won = np.flatnonzero((claims == best[self.group]) & (claims > 0))[::-1]
            ids[self.pixel[won]] = self.instance[won]  # of equals the lowest, which is written last
        return ids

    def weakest(self, rank: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(K + 1,) instances with a ``rank`` (K + 1,) above 0 that meet none of a lower rank above 0 at any pixel."""
        own = rank[self.instance]
        lowest = np.minimum.reduceat(np.where(own > 0, own, np.iinfo(own.dtype).max), self.first)
        weakest = rank > 0
        weakest[self.instance[own > lowest[self.group]]] = False
        return np.asarray(weakest)


def fuse_instances(
    field: Field,
    cameras: Sequence[Camera],
    height: int,
    width: int,
    settings: InstanceSettings,
    things: Collection[int] | None = None,
) -> dict[str, NDArray]:
    """One map of instances from those of all views.

    Parameters
    ----------
    field : Field
        ``instances`` over the N views of one panorama.
    cameras : N cameras, of the patches' size
    height, width : int
        Size of the ERP image.
    settings : InstanceSettings
    things : collection of int, optional
        Classes that have instances; segments of others are left out. All classes by default.

    Returns
    -------
    dict
        ``instances`` (height, width) uint16, 0 for none, the largest instance first; and for the K instances, row k - 1 for
        id k: ``instance_class`` (K,) uint16; ``instance_score`` (K,) float32, mean of the masks' scores by area;
        ``instance_agreement`` (K,) float32, its share of the votes over its pixels; ``instance_area`` (K,) float32 in
        steradians; ``instance_direction`` (K, 3) float32, unit centre, world frame; ``instance_seam`` and ``instance_pole``
        (K,) bool, whether it crosses the +-180 degree seam or covers a pole; ``instance_views`` (K, N) bool, which views gave
        a mask; ``instance_runs`` (R, 2) uint32 and ``instance_offsets`` (K + 1,) uint32, packed whole masks
        (:func:`geometry.spherical_masks.unpack_masks`): those of an instance with pixels that another hides, none for others.

    Raises
    ------
    ValueError
        If the field does not match the cameras or its tables, or there are more than 65535 instances.
    """
    if len(field.valid) != len(cameras):
        raise ValueError(f"field 'instances' has {len(field.valid)} views, but there are {len(cameras)} cameras")
    segments = segments_of(field, things)
    views = [backprojection(camera, height, width) for camera in cameras]
    groups = merge_segments(segments, pair_areas(segments, views), settings.overlap, settings.threshold)
    weights = [view_weight(camera, settings.off_axis_power, settings.edge_feather) for camera in cameras]
    votes, seen = _cast_votes(segments, groups, views, weights)
    ids, new = _decide(votes, np.repeat(pixel_areas(height, width), width), int(groups.max(initial=0)), settings.min_visible)
    masks = masks_of_ids(ids.reshape(height, width), int(new.max()))
    if len(masks) > MOST:
        raise ValueError(f"there are {len(masks)} instances, more than the {MOST} that an id can name; raise the score threshold")
    runs, offsets = pack_masks(_hidden_masks(replace(votes, instance=new[votes.instance]), ids, masks))
    return {
        "instances": ids.reshape(height, width).astype(np.uint16),
        **_members(segments, new[groups], seen, len(masks)),
        "instance_agreement": _agreement(replace(votes, instance=new[votes.instance]), ids, len(masks)),
        "instance_area": np.array([mask.area for mask in masks], np.float32),
        "instance_direction": np.array([mask.centre for mask in masks], np.float32).reshape(-1, 3),
        "instance_seam": np.array([mask.crosses_seam for mask in masks], bool),
        "instance_pole": np.array([mask.covers_pole for mask in masks], bool),
        "instance_runs": runs,
        "instance_offsets": offsets,
    }


def _cast_votes(
    segments: Segments, groups: NDArray[np.intp], views: Sequence[BackProjection], weights: Sequence[FloatArray]
) -> tuple[Votes, FloatArray]:
    """All votes, and the area (segments,) in steradians of each segment."""
    height, width = views[0].height, views[0].width
    areas, first = pixel_areas(height, width), segments.first
    against, seen = np.zeros(height * width), np.zeros(len(groups) + 1)
    parts: list[tuple[NDArray, NDArray, NDArray]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for rows, pairs in by_band(views):
        place = np.arange(rows.start * width, rows.stop * width).reshape(-1, width)
        pixels, instances, claims = [], [], []
        for view, box in pairs:
            segment, here = segments.at(view, box), place[:, box.columns]
            weight = weights[view].ravel().take(box.pixel, mode="clip").astype(np.float64) * box.nearness
            against[here[segment == 0]] += weight[segment == 0]
            claim = segment > 0
            number = first[view] + segment[claim] - 1
            seen += np.bincount(number, areas[here[claim] // width], len(seen))
            pixels.append(here[claim])
            instances.append(groups[number])
            claims.append(weight[claim])
        if pixels:
            parts.append(_add_up(np.concatenate(pixels), np.concatenate(instances), np.concatenate(claims)))
    pixel, instance, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Votes(pixel, instance, weight, against), seen[:-1]


def _add_up(pixel: NDArray, instance: NDArray, weight: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """One entry for each (pixel, instance), ascending, with the sum of its weights."""
    order = np.lexsort((instance, pixel))
    pixel, instance = pixel[order], instance[order]
    first = np.flatnonzero((np.diff(pixel, prepend=-1) != 0) | (np.diff(instance, prepend=-1) != 0))
    total = np.add.reduceat(weight[order], first) if len(first) else weight
    return pixel[first], instance[first], total


def _decide(votes: Votes, areas: FloatArray, count: int, min_visible: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Map of ids (H * W,), numbered from the largest instance on, and the id (count + 1,) of each group; 0 for none."""
    kept = _without_doubles(votes, areas, count, min_visible)
    ids = votes.winners(kept)
    visible = np.bincount(ids, areas, count + 1)
    visible[0] = 0
    order = np.argsort(-visible, kind="stable")[: np.count_nonzero(visible)]
    new = np.zeros(count + 1, np.int64)
    new[order] = np.arange(1, len(order) + 1)
    return new[ids], new


def _without_doubles(votes: Votes, areas: FloatArray, count: int, min_visible: float) -> NDArray[np.bool_]:
    """(count + 1,) instances that win enough of what views gave to them.

    Of two that hide each other only the weaker one goes, so they go one after the other, those that do not touch together.
    """
    claimed = np.bincount(votes.instance, areas[votes.pixel], count + 1)
    kept = claimed > 0
    while True:
        share = np.bincount(votes.winners(kept), areas, count + 1) / np.maximum(claimed, 1e-12)
        failing = kept & (share < max(min_visible, 1e-9))
        if not failing.any():
            return np.asarray(kept)
        rank = np.zeros(count + 1, np.int64)
        rank[np.argsort(np.where(failing, share, np.inf), kind="stable")[: failing.sum()]] = np.arange(1, failing.sum() + 1)
        kept = kept & ~votes.weakest(rank)


def _members(segments: Segments, ids: NDArray[np.int64], seen: FloatArray, count: int) -> dict[str, NDArray]:
    """Class, score and views of every instance; ``ids`` (segments,) says which one each segment went into."""
    label, score = np.concatenate(segments.labels), np.concatenate(segments.scores)
    view = np.repeat(np.arange(len(segments.labels)), np.diff(segments.first))
    views = np.zeros((count + 1, len(segments.labels)), bool)
    views[ids, view] = True
    classes = np.zeros(count + 1, np.uint16)
    classes[ids] = label
    total, area = np.bincount(ids, score * seen, count + 1), np.bincount(ids, seen, count + 1)
    mean = np.divide(total, area, out=np.zeros(count + 1), where=area > 0).astype(np.float32)
    return {"instance_class": classes[1:], "instance_score": mean[1:], "instance_views": views[1:]}


def _agreement(votes: Votes, ids: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """(count,) share of each instance in all votes cast at its pixels."""
    own = votes.instance == ids[votes.pixel]
    cast = np.bincount(votes.pixel, votes.weight, len(ids)) + votes.against
    mine = np.bincount(votes.instance[own], votes.weight[own], count + 1)
    return (mine / np.maximum(np.bincount(ids, cast, count + 1), 1e-12)).astype(np.float32)[1:]


def _hidden_masks(votes: Votes, ids: NDArray[np.int64], masks: Sequence[SphericalMask]) -> list[SphericalMask]:
    """The whole mask of each instance that has more of it than its pixels in ``ids``; an empty one for the others.

    To the whole belong the pixels that would be the instance's own if there were no others.
    """
    whole = (votes.instance > 0) & ((votes.instance == ids[votes.pixel]) | (votes.weight >= votes.against[votes.pixel]))
    order = np.argsort(votes.instance[whole], kind="stable")
    pixel = votes.pixel[whole][order]
    ends = np.searchsorted(votes.instance[whole][order], np.arange(1, len(masks) + 2))
    parts = [pixel[start:end] for start, end in pairwise(ends)]
    return [
        mask_of_pixels(part if len(part) > mask.lengths.sum() else part[:0], mask.height, mask.width)
        for part, mask in zip(parts, masks, strict=True)
    ]
