"""Which masks of many views are one object: enough overlap where both views look, and never two masks of one patch.

Overlap is measured in steradians on the ERP grid, band by band, and only where both views see the sphere: an object that a
patch cuts off still agrees with the whole of it in the next patch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.instances.masks import pixel_areas
from geometry.resampling.backproject import BackProjection, Band, Box, by_band

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int32]
PairAreas = Mapping[tuple[int, int], FloatArray]
"""View pair (i < j) -> (segments of i + 1, segments of j + 1) steradians that i gives to one and j to the other; 0 is "none"."""


@dataclass(frozen=True, eq=False)
class Segments:
    """The masks of all N views that count.

    Attributes
    ----------
    patches : (N, h * w + 1) int32
        A view's segment of each pixel, counted from 1 in each view; 0 for none, -1 where the view says nothing. The last entry
        stands for "not seen" and is -1.
    labels : N arrays (count,) int32
        Class of each segment of a view.
    scores : N arrays (count,) float32
    sizes : (segments,) patch pixels of every segment, when all stand in one row
    """

    patches: Labels
    labels: Sequence[Labels]
    scores: Sequence[NDArray[np.float32]]
    sizes: NDArray[np.intp]

    @property
    def first(self) -> NDArray[np.intp]:
        """(N + 1,) index of each view's first segment when all segments stand in one row, and their number."""
        return np.cumsum([0, *(len(labels) for labels in self.labels)])

    @property
    def view(self) -> NDArray[np.intp]:
        """(segments,) the view of each segment, when all stand in one row."""
        return np.repeat(np.arange(len(self.labels)), np.diff(self.first))

    def at(self, view: int, box: Box) -> Labels:
        """The view's segments (m, n) at the pixels of one of its boxes."""
        return np.asarray(self.patches[view].take(box.pixel))


def segments_of(field: Field, things: Collection[int] | None = None) -> Segments:
    """The segments of an ``instances`` field that have a pixel and a class; with ``things``, only of these classes.

    Raises
    ------
    ValueError
        The tables do not describe a segment that the field holds.
    """
    count = len(field.values)
    patches = np.full((count, field.values[0].size + 1), -1, np.int32)
    labels, scores, sizes = [], [], []
    for view in range(count):
        known, segment_class = field.values[view][field.valid[view]], field.tables["segment_class"][view]
        present = np.unique(known[known > 0]).astype(np.intp)
        if present.size and present[-1] > len(segment_class):
            raise ValueError(f"view {view} holds segment {present[-1]}, but its table describes {len(segment_class)}")
        label = segment_class[present - 1]
        present = present[(label >= 0) & (np.isin(label, list(things)) if things is not None else True)]
        number = np.zeros(int(field.values[view].max(initial=0)) + 1, np.int32)
        number[present] = np.arange(1, len(present) + 1)
        patches[view, :-1] = np.where(field.valid[view], number[field.values[view]], -1).ravel()
        labels.append(segment_class[present - 1].astype(np.int32))
        scores.append(field.tables["segment_score"][view][present - 1].astype(np.float32))
        sizes.append(np.bincount(patches[view, :-1] + 1, minlength=len(present) + 2)[2:])
    return Segments(patches, labels, scores, np.concatenate(sizes))


def pair_areas(segments: Segments, views: Sequence[BackProjection]) -> PairAreas:
    """For every two views that see something in common, how their segments overlap there.

    Memory is bounded by one band of the ERP and by the tables, whatever the size of the masks.
    """
    areas = pixel_areas(views[0].height, views[0].width)
    tables: dict[tuple[int, int], FloatArray] = {}
    sizes = [len(labels) + 1 for labels in segments.labels]
    for band in by_band(views):
        for i, j, one, other in _seen_together(segments, band):
            told = (one >= 0) & (other >= 0) & ((one > 0) | (other > 0))
            if told.any():
                cell = (one * np.int32(sizes[j]) + other)[told]
                weight = np.broadcast_to(areas[band[0], None], told.shape)[told]
                table = tables.setdefault((i, j), np.zeros((sizes[i], sizes[j])))
                table += np.bincount(cell, weight, table.size).reshape(table.shape)
    return tables


def _seen_together(segments: Segments, band: Band) -> Iterator[tuple[int, int, Labels, Labels]]:
    """Two views and their segments (m, n) over the columns that a box of each shares."""
    looked = [(view, box.columns, segments.at(view, box)) for view, box in band[1]]
    for (i, columns, one), (j, others, other) in combinations(looked, 2):
        start, stop = max(columns.start, others.start), min(columns.stop, others.stop)
        if i != j and start < stop:
            yield (
                i,
                j,
                one[:, start - columns.start : stop - columns.start],
                other[:, start - others.start : stop - others.start],
            )


def merge_segments(
    segments: Segments, tables: PairAreas, overlap: str, threshold: float, across_classes: bool
) -> NDArray[np.intp]:
    """The instance, 1..K, of every segment, by union-find.

    Pairs of segments that overlap enough are taken from the strongest down, those of one class first. Their groups become one
    unless they have a view in common: two masks of a patch are two objects, whatever other views say.

    Parameters
    ----------
    segments : Segments
    tables : what :func:`pair_areas` gives
    overlap : {"iou", "smaller"}
        Intersection over union, or over the smaller mask; of the part of each mask that the other's view sees.
    threshold : float
        Least overlap, in (0, 1].
    across_classes : bool
        Merge groups of different classes too, once those of one class are merged.
    """
    parent = list(range(len(segments.view)))
    views = [{view} for view in segments.view.tolist()]

    def root(segment: int) -> int:
        while parent[segment] != segment:
            parent[segment] = segment = parent[parent[segment]]
        return segment

    for one, other in _from_the_strongest(segments, tables, overlap, threshold, across_classes):
        a, b = sorted((root(one), root(other)))
        if a != b and not views[a] & views[b]:
            parent[b] = a
            views[a] |= views[b]
    groups = np.array([root(segment) for segment in range(len(parent))], np.intp)
    return np.unique(groups, return_inverse=True)[1] + 1


def _from_the_strongest(
    segments: Segments, tables: PairAreas, overlap: str, threshold: float, across_classes: bool
) -> list[tuple[int, int]]:
    """Pairs of segments that overlap enough, those of one class first, the strongest overlap first."""
    first = segments.first
    pairs: list[tuple[bool, float, int, int]] = []
    for (i, j), table in tables.items():
        both, mine, others = table[1:, 1:], table[1:].sum(axis=1)[:, None], table[:, 1:].sum(axis=0)[None]
        whole = np.minimum(mine, others) if overlap == "smaller" else mine + others - both
        a, b = np.nonzero((both > 0) & (both >= threshold * whole))
        differ = segments.labels[i][a] != segments.labels[j][b]
        strength = both[a, b] / whole[a, b]
        found = zip(differ.tolist(), (-strength).tolist(), (first[i] + a).tolist(), (first[j] + b).tolist())
        pairs += [pair for pair in found if across_classes or not pair[0]]
    return [(one, other) for _, _, one, other in sorted(pairs)]
