"""Instances of many views into one map of ids on the sphere, a table, and whole masks: :func:`fuse_instances`.

Masks of one object are found first (:mod:`geometry.instances.merge`), and merged (:mod:`geometry.instances.votes`). What too few
views see goes, and doubles go. Every pixel then belongs to the instance with the most votes.

Of the K instances over N views, row k - 1 of a table tells of id k:

| name                               | array                    | meaning                                                      |
|------------------------------------|--------------------------|--------------------------------------------------------------|
| `instances`                        | (H, W) uint16            | ids, 0 for none, the largest instance first                  |
| `instance_class`                   | (K,) uint16              |                                                              |
| `instance_score`                   | (K,) float32             | mean of the masks' scores by area                            |
| `instance_agreement`               | (K,) float32             | its share of the votes over its pixels                       |
| `instance_area`                    | (K,) float32             | steradians                                                   |
| `instance_direction`               | (K, 3) float32           | unit centre, world frame                                     |
| `instance_seam`, `instance_pole`   | (K,) bool                | whether it crosses the +-180 degree seam, or covers a pole   |
| `instance_views`                   | (K, N) bool              | which views gave a mask                                      |
| `instance_runs`, `instance_offsets`| (R, 2), (K + 1,) uint32  | whole masks, :func:`geometry.instances.masks.unpack_masks`   |

Whole masks are those of instances with pixels that another hides; others have none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.instances.masks import SphericalMask, mask_of_pixels, masks_of_ids, pack_masks, pixel_areas
from geometry.instances.merge import Segments, merge_segments, pair_areas, segments_of
from geometry.instances.votes import Votes, cast_votes
from geometry.observed import views_of
from geometry.resampling.backproject import view_weight
from geometry.spheres import View

FloatArray = NDArray[np.floating]
Integers = NDArray[np.int64]
MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class InstanceSettings:
    """How masks of many views become instances.

    Parameters
    ----------
    overlap : {"iou", "smaller"}
        Measure of overlap of two masks where both views look: over their union, or over the smaller of them.
    threshold : float
        Overlap, in (0, 1], from which two masks are one object.
    across_classes : bool
        Whether masks to which views give different classes may be one object, once those of one class are merged; it takes
        the class with the most area times score.
    min_support : float
        Share of the views' weight that must see some object where an instance is; a false one that few see is dropped.
    min_visible : float
        Share of its merged mask that an instance must win against others; a double of another, which does not, is dropped.
    off_axis_power, edge_feather : float
        Weights of views, as for all other fields.

    Raises
    ------
    ValueError
        If a setting is outside its range.
    """

    overlap: Literal["iou", "smaller"] = "iou"
    threshold: float = 0.3
    across_classes: bool = True
    min_support: float = 0.5
    min_visible: float = 0.6
    off_axis_power: float = 4.0
    edge_feather: float = 0.2

    def __post_init__(self) -> None:
        if self.overlap not in ("iou", "smaller"):
            raise ValueError(f"overlap must be iou or smaller, got {self.overlap!r}")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must lie in (0, 1], got {self.threshold}")
        for name in ("min_support", "min_visible"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


def fuse_instances(
    field: Field,
    cameras: Sequence[View],
    height: int,
    width: int,
    settings: InstanceSettings,
    things: Collection[int] | None = None,
    observed: NDArray[np.bool_] | None = None,
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
    observed : (height, width) bool, optional
        Directions that were photographed; no view looks anywhere else. All by default.

    Returns
    -------
    dict
        See the module's table.

    Raises
    ------
    ValueError
        If the field does not match the cameras or its tables, or there are more than 65535 instances.
    """
    if len(field.valid) != len(cameras):
        raise ValueError(f"field 'instances' has {len(field.valid)} views, but there are {len(cameras)} cameras")
    segments = segments_of(field, things)
    views = views_of(cameras, height, width, observed)
    groups = merge_segments(segments, pair_areas(segments, views), settings.overlap, settings.threshold, settings.across_classes)
    weights = [view_weight(camera, settings.off_axis_power, settings.edge_feather) for camera in cameras]
    votes = cast_votes(segments, groups, views, weights)
    ids, new = _decide(votes, np.repeat(pixel_areas(height, width), width), len(groups), settings)
    votes = replace(votes, instance=new[votes.instance])
    masks = masks_of_ids(ids.reshape(height, width), int(new.max()))
    if len(masks) > MOST:
        raise ValueError(f"there are {len(masks)} instances, more than the {MOST} that an id can name; raise the score threshold")
    return {
        "instances": ids.reshape(height, width).astype(np.uint16),
        **_members(segments, new[groups], len(masks)),
        "instance_agreement": _agreement(votes, ids, len(masks)),
        **_outlines(masks, _hidden_masks(votes, masks)),
    }


def _outlines(masks: Sequence[SphericalMask], hidden: Sequence[SphericalMask]) -> dict[str, NDArray]:
    """Where every instance lies, and the whole masks of those that others hide."""
    runs, offsets = pack_masks(hidden)
    return {
        "instance_area": np.array([mask.area for mask in masks], np.float32),
        "instance_direction": np.array([mask.centre for mask in masks], np.float32).reshape(-1, 3),
        "instance_seam": np.array([mask.crosses_seam for mask in masks], bool),
        "instance_pole": np.array([mask.covers_pole for mask in masks], bool),
        "instance_runs": runs,
        "instance_offsets": offsets,
    }


def _decide(votes: Votes, areas: FloatArray, count: int, settings: InstanceSettings) -> tuple[Integers, Integers]:
    """Map of ids (H * W,), numbered from the largest instance on, and the id (count + 1,) of each group; 0 for none."""
    ids = votes.winners(_without_doubles(votes, areas, count, settings))
    visible = np.bincount(ids, areas, count + 1)
    visible[0] = 0
    order = np.argsort(-visible, kind="stable")[: np.count_nonzero(visible)]
    new = np.zeros(count + 1, np.int64)
    new[order] = np.arange(1, len(order) + 1)
    return new[ids], new


def _without_doubles(votes: Votes, areas: FloatArray, count: int, settings: InstanceSettings) -> NDArray[np.bool_]:
    """(count + 1,) instances where enough views see an object, and that win enough of their merged mask.

    Of two that hide each other only the weaker one goes, so they go one after the other, those that do not touch together.
    """
    area = areas[votes.pixel]
    whole = np.bincount(votes.instance, area, count + 1)
    seen = np.bincount(votes.instance, area * votes.things[votes.pixel], count + 1)
    kept = (whole > 0) & (seen >= settings.min_support * np.bincount(votes.instance, area * votes.total[votes.pixel], count + 1))
    while True:
        share = np.bincount(votes.winners(kept), areas, count + 1) / np.maximum(whole, 1e-12)
        failing = kept & (share < max(settings.min_visible, 1e-9))
        if not failing.any():
            return np.asarray(kept)
        rank = np.zeros(count + 1, np.int64)
        rank[np.argsort(np.where(failing, share, np.inf), kind="stable")[: failing.sum()]] = np.arange(1, failing.sum() + 1)
        kept = kept & ~votes.weakest(rank)


def _members(segments: Segments, ids: Integers, count: int) -> dict[str, NDArray]:
    """Class, score and views of every instance; ``ids`` (segments,) says which one each segment went into."""
    label, score = np.concatenate(segments.labels), np.concatenate(segments.scores)
    views = np.zeros((count + 1, len(segments.labels)), bool)
    views[ids, segments.view] = True
    ballots = np.zeros((count + 1, int(label.max(initial=0)) + 1))
    np.add.at(ballots, (ids, label), score * segments.sizes)
    total, area = np.bincount(ids, score * segments.sizes, count + 1), np.bincount(ids, segments.sizes, count + 1)
    mean = np.divide(total, area, out=np.zeros(count + 1), where=area > 0).astype(np.float32)
    return {
        "instance_class": ballots[1:].argmax(axis=1).astype(np.uint16),
        "instance_score": mean[1:],
        "instance_views": views[1:],
    }


def _agreement(votes: Votes, ids: Integers, count: int) -> NDArray[np.float32]:
    """(count,) share of each instance in all votes cast at its pixels."""
    own = votes.instance == ids[votes.pixel]
    mine = np.bincount(ids[votes.pixel[own]], votes.weight[own], count + 1)
    return (mine / np.maximum(np.bincount(ids, votes.total, count + 1), 1e-12)).astype(np.float32)[1:]


def _hidden_masks(votes: Votes, masks: Sequence[SphericalMask]) -> list[SphericalMask]:
    """The merged mask of each instance of which others hide a part; an empty one for those that ``masks`` shows whole."""
    order = np.argsort(votes.instance, kind="stable")
    pixel = votes.pixel[order]
    ends = np.searchsorted(votes.instance[order], np.arange(1, len(masks) + 2))
    parts = [pixel[start:end] for start, end in pairwise(ends)]
    return [
        mask_of_pixels(part if len(part) > mask.lengths.sum() else part[:0], mask.height, mask.width)
        for part, mask in zip(parts, masks, strict=True)
    ]
