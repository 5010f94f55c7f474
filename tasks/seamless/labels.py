"""What a data set says of one image: a class for every pixel, visible objects, and the same objects whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.seamless.vocabularies import IGNORED, THINGS

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class SeamlessTruth:
    """Labels of one image; one vocabulary for all of them.

    ``semantics`` (H, W) uint8, 255 where nobody said. ``visible`` (N, H, W) bool: what is seen of every Thing, with ``classes``
    (N,) int64 and ``crowd`` (N,) bool, of which the pixels are 255 in ``semantics``. ``wholes`` (N, H, W) bool: the same objects
    with what is hidden of them; None where the data set does not say. A crowd's whole is what is seen of it.
    """

    semantics: NDArray[np.uint8]
    visible: Mask
    classes: NDArray[np.int64]
    crowd: Mask
    wholes: Mask | None


@dataclass(frozen=True)
class Segment:
    """A segment of an id map: its number there, its class, whether it is a crowd, and its whole mask if that is known."""

    number: int
    label: int
    crowd: bool = False
    whole: Mask | None = None


def truth_of_segments(numbers: Integers, segments: Sequence[Segment], amodal: bool) -> SeamlessTruth:
    """Truth from an id map (H, W) and what its ids stand for.

    Parameters
    ----------
    numbers : (H, W) int; ids of no segment are void
    segments : those of class 255 are void, too
    amodal : whether the data set says what is hidden

    Notes
    -----
    Things without a pixel, seen or whole, are left out, as in the release.

    Raises
    ------
    ValueError
        Two segments have one id, or a Thing has no whole mask where ``amodal`` promises it.
    """
    by_number = {segment.number: segment for segment in segments}
    if len(by_number) != len(segments):
        raise ValueError("two of its segments have the same id")
    known, index = np.unique(numbers, return_inverse=True)
    there = [by_number.get(int(number)) for number in known]
    labels = np.array([IGNORED if one is None or one.crowd else one.label for one in there], np.uint8)
    semantics = labels[index].reshape(numbers.shape)
    things = [one for one in there if one is not None and one.label in THINGS]
    visible = np.array([numbers == one.number for one in things], bool).reshape(-1, *numbers.shape)
    wholes = _wholes(things, visible) if amodal else None
    kept = np.ones(len(things), bool) if wholes is None else wholes.any(axis=(1, 2))
    return SeamlessTruth(
        semantics,
        visible[kept],
        np.array([one.label for one in things], np.int64)[kept],
        np.array([one.crowd for one in things], bool)[kept],
        None if wholes is None else wholes[kept],
    )


def _wholes(things: Sequence[Segment], visible: Mask) -> Mask:
    wholes = visible.copy()
    for place, one in enumerate(things):
        if one.whole is not None:
            wholes[place] = one.whole
        elif not one.crowd:
            raise ValueError(f"its object {one.number} has no amodal mask")
    return wholes
