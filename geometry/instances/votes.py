"""Merged masks: who claims which pixel of the sphere, and with what weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geometry.instances.merge import Segments
from geometry.resampling.backproject import BackProjection, Band, by_band

FloatArray = NDArray[np.floating]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Votes:
    """Who claims which pixel: one entry for each (pixel, instance), ascending. Memory grows with the objects' pixels only.

    Attributes
    ----------
    pixel, instance : (V,) int64
        Flat index, and instance from 1. The entries of an instance are its merged mask.
    weight : (V,) float64
        Of the views that give the pixel to the instance.
    things, total : (H * W,) float64
        Weight of the views that see any object at a pixel, and of all.
    """

    pixel: Integers
    instance: Integers
    weight: FloatArray
    things: FloatArray
    total: FloatArray

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        """(G,) the first entry of each pixel that has any."""
        return np.flatnonzero(np.diff(self.pixel, prepend=-1))

    @cached_property
    def _group(self) -> NDArray[np.intp]:
        """(V,) which of the G pixels each entry belongs to."""
        return np.repeat(np.arange(len(self._first)), np.diff(np.append(self._first, len(self.pixel))))

    def winners(self, kept: NDArray[np.bool_]) -> Integers:
        """The instance (H * W,) of each pixel, 0 for none: the one with most votes among those that are ``kept`` (K + 1,)."""
        ids = np.zeros(len(self.total), np.int64)
        if len(self.pixel):
            claims = np.where(kept[self.instance], self.weight, 0)
            best = np.maximum.reduceat(claims, self._first)
            won = np.flatnonzero((claims == best[self._group]) & (claims > 0))[::-1]
            ids[self.pixel[won]] = self.instance[won]  # of equals the lowest, which is written last
        return ids

    def weakest(self, rank: Integers) -> NDArray[np.bool_]:
        """(K + 1,) instances with a ``rank`` (K + 1,) above 0 that meet none of a lower rank above 0 at any pixel."""
        own = rank[self.instance]
        lowest = np.minimum.reduceat(np.where(own > 0, own, np.iinfo(own.dtype).max), self._first)
        weakest = rank > 0
        weakest[self.instance[own > lowest[self._group]]] = False
        return np.asarray(weakest)


def cast_votes(segments: Segments, groups: Integers, views: Sequence[BackProjection], weights: Sequence[FloatArray]) -> Votes:
    """Votes of all views.

    A pixel belongs to an instance's merged mask if, of the views that gave the instance a mask and look at the pixel, those that
    have it in their mask weigh at least as much as the others. Views that missed the object say nothing of its outline.

    Parameters
    ----------
    segments : Segments
    groups : (segments,) the instance, from 1, of every segment
    views : N back-projections into one ERP size
    weights : N arrays (h, w), the weight of each patch pixel
    """
    shape = (views[0].height, views[0].width)
    members = np.zeros((int(groups.max(initial=0)) + 1, len(views)), bool)
    members[groups, segments.view] = True
    things, total = np.zeros(shape), np.zeros(shape)
    parts = []
    for band in by_band(views):
        said = list(_said(segments, groups, band, weights))
        for _, place, instance, weight in said:
            total[place] += weight
            things[place] += np.where(instance > 0, weight, 0)
        parts.append(_merged(said, members, shape[1]))
    pixel, instance, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Votes(pixel, instance, weight, things.ravel(), total.ravel())


Said = tuple[int, tuple[slice, slice], Integers, FloatArray]
"""View, rectangle of the ERP, and there its instances (m, n), 0 for none, and its weight (m, n), 0 where it says nothing."""


def _said(segments: Segments, groups: Integers, band: Band, weights: Sequence[FloatArray]) -> Iterator[Said]:
    for view, box in band[1]:
        segment = segments.at(view, box)
        instance = np.append(0, groups[segments.view == view])[np.maximum(segment, 0)]
        weight = weights[view].ravel().take(box.pixel, mode="clip").astype(np.float64) * box.nearness
        yield view, (box.rows, box.columns), instance, np.where(segment >= 0, weight, 0)


def _merged(said: Sequence[Said], members: NDArray[np.bool_], width: int) -> tuple[Integers, Integers, FloatArray]:
    """Entries of one band: pixel, instance and weight."""
    columns: list[tuple[Integers, Integers, FloatArray]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for _, (rows, across), instance, weight in said:
        i, j = np.nonzero((instance > 0) & (weight > 0))
        columns.append(((rows.start + i) * width + across.start + j, instance[i, j], weight[i, j]))
    pixel, instance, weight = _add_up(*(np.concatenate(column) for column in zip(*columns, strict=True)))
    opposed = np.zeros(len(pixel))
    row, column = np.divmod(pixel, width)
    for view, (rows, across), its, own in said:
        here = np.flatnonzero(members[instance, view] & (column >= across.start) & (column < across.stop))
        at = row[here] - rows.start, column[here] - across.start
        opposed[here] += np.where(its[at] != instance[here], own[at], 0)
    kept = weight >= opposed
    return pixel[kept], instance[kept], weight[kept]


def _add_up(pixel: Integers, instance: Integers, weight: FloatArray) -> tuple[Integers, Integers, FloatArray]:
    """One entry for each (pixel, instance), ascending, with the sum of its weights."""
    order = np.lexsort((instance, pixel))
    pixel, instance = pixel[order], instance[order]
    first = np.flatnonzero((np.diff(pixel, prepend=-1) != 0) | (np.diff(instance, prepend=-1) != 0))
    total = np.add.reduceat(weight[order], first) if len(first) else weight
    return pixel[first], instance[first], total
