"""Class labels of many views into one ERP, by soft vote: labels are never interpolated, and scores of all classes never warped.

Each view votes, with the nearest patch pixel's top K classes, its weight times their probabilities.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from geometry.backproject import WORKERS, BackProjection, Band, Box, by_band

FloatArray = NDArray[np.float32]
Labels = NDArray[np.unsignedinteger]
Ballot = tuple[NDArray[np.uint16], FloatArray]


def fuse_semantics(
    labels: Labels, probabilities: FloatArray, weight: FloatArray, views: Sequence[BackProjection], classes: int
) -> tuple[Labels, FloatArray, Labels]:
    """Fuse top-K class labels.

    Parameters
    ----------
    labels : (N, h, w, K) unsigned integers, best first
    probabilities : (N, h, w, K) float32
        Finite and not negative where ``weight`` is positive; their sum over K is at most 1.
    weight : (N, h, w) float32
        Not negative; zero marks an invalid pixel.
    views : N back-projections into one ERP size
    classes : int
        Size of the vocabulary; results are uint8 up to 256 and uint16 beyond.

    Returns
    -------
    label : (H, W) uint8 or uint16
    share : (H, W) float32
        The label's share of all weight at the pixel; zero where no view has a valid say.
    runner_up : (H, W) like label
        The class with the second most votes; the label itself where nothing else had a vote.

    Raises
    ------
    ValueError
        If a label is not below ``classes``.
    """
    dtype = np.uint8 if classes <= 256 else np.uint16
    # Votes are counted only for classes that occur in this panorama, however large the vocabulary is.
    with ThreadPoolExecutor(WORKERS) as pool:
        present = np.flatnonzero(np.any(list(pool.map(_classes_with_votes, labels, weight)), axis=0))
    if len(present) and present[-1] >= classes:
        raise ValueError(f"semantics hold label {present[-1]}, but the vocabulary has {classes} classes")
    shape = (views[0].height, views[0].width)
    label, runner_up, share = np.zeros(shape, dtype), np.zeros(shape, dtype), np.zeros(shape, np.float32)
    if len(present) == 0:
        return label, share, runner_up
    names = present.astype(dtype)

    def fuse_band(band: Band) -> None:
        rows, pairs = band
        hits = [(box, ballots[number]) for number, box in pairs]
        votes, total = _count((rows.stop - rows.start, shape[1]), hits, len(present))
        best, most, second, next_most = _top_two(votes)
        label[rows] = np.where(total > 0, names[best], 0)
        runner_up[rows] = np.where(total > 0, names[np.where(next_most > 0, second, best)], 0)
        np.divide(most, total, out=share[rows], where=total > 0)

    # Views and bands are independent of each other, and numpy lets go of the interpreter while it works.
    with ThreadPoolExecutor(WORKERS) as pool:
        ballots = list(pool.map(_ballot, labels, probabilities, weight, repeat(present)))
        list(pool.map(fuse_band, by_band(views)))
    return label, share, runner_up


def _classes_with_votes(labels: Labels, weight: FloatArray) -> NDArray[np.bool_]:
    """For every value that the labels' type can hold, whether it occurs where the weight is positive."""
    occurs = np.zeros(np.iinfo(labels.dtype).max + 1, dtype=bool)
    occurs[labels if weight.all() else labels[weight > 0]] = True
    return occurs


def _ballot(labels: Labels, probabilities: FloatArray, weight: FloatArray, present: NDArray[np.intp]) -> Ballot:
    """One view's indices into ``present`` (h * w, K); its votes and weight (h * w + 1, K + 1), with a last row for "not seen"."""
    own, top = weight.ravel(), labels.shape[-1]
    votes, flat = np.empty((own.size + 1, top + 1), np.float32), probabilities.reshape(-1, top)
    votes[-1] = 0
    with np.errstate(invalid="ignore"):  # zero times infinity, cleared below
        for k in range(top):
            np.multiply(flat[:, k], own, out=votes[:-1, k])
    votes[:-1, top] = own
    if not own.all():
        votes[:-1][own == 0] = 0  # whatever was there, NaN included
    lookup = np.zeros(np.iinfo(labels.dtype).max + 1, np.uint16)
    lookup[present] = np.arange(len(present), dtype=np.uint16)
    return lookup.take(labels, mode="clip").reshape(-1, top), votes


def _count(shape: tuple[int, int], hits: list[tuple[Box, Ballot]], classes: int) -> tuple[FloatArray, FloatArray]:
    """Votes (classes, m, n) and total weight (m, n) of one band."""
    size = shape[0] * shape[1]
    votes, total = np.zeros(classes * size, np.float32), np.zeros(shape, np.float32)
    pixel = np.arange(size).reshape(shape)
    for box, (index, vote) in hits:
        near, own = box.nearness, pixel[:, box.columns]
        classes_here = index.take(box.pixel, axis=0, mode="clip")
        votes_here = vote.take(box.pixel, axis=0, mode="clip")
        for k in range(index.shape[1]):
            # A view has one say per rank and pixel, so no index repeats within one addition.
            at = np.multiply(classes_here[..., k], size, dtype=np.intp)
            at += own
            votes[at] += votes_here[..., k] * near
        total[:, box.columns] += votes_here[..., -1] * near
    return votes.reshape(classes, *shape), total


def _top_two(votes: FloatArray) -> tuple[NDArray[np.uint16], FloatArray, NDArray[np.uint16], FloatArray]:
    """Index and votes of the first and of the second class at every pixel; ties go to the lower index."""
    most, next_most = votes[0].copy(), np.zeros(votes.shape[1:], np.float32)
    best, second = np.zeros((2, *votes.shape[1:]), np.uint16)
    for k in range(1, len(votes)):
        own = votes[k]
        ahead = own > most
        np.copyto(second, k, where=own > next_most)
        np.copyto(second, best, where=ahead)
        np.maximum(next_most, np.minimum(own, most), out=next_most)
        np.copyto(best, k, where=ahead)
        np.maximum(most, own, out=most)
    return best, most, second, next_most
