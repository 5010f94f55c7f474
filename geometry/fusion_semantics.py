"""Class labels of many views into one ERP, by soft vote: labels are never interpolated, and scores of all classes never warped.

Each view votes, with the nearest patch pixel's top K classes, its weight times their probabilities.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.backproject import BackProjection, Box, by_band

FloatArray = NDArray[np.float32]
Labels = NDArray[np.unsignedinteger]
Ballot = tuple[NDArray[np.uint16], FloatArray, FloatArray]


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
    present = _classes_with_votes(labels, weight)
    if len(present) and present[-1] >= classes:
        raise ValueError(f"semantics hold label {present[-1]}, but the vocabulary has {classes} classes")
    shape = (views[0].height, views[0].width)
    label, runner_up, share = np.zeros(shape, dtype), np.zeros(shape, dtype), np.zeros(shape, np.float32)
    if len(present) == 0:
        return label, share, runner_up
    names = present.astype(dtype)
    ballots = [_ballot(*view, present) for view in zip(labels, probabilities, weight, strict=True)]
    for rows, pairs in by_band(views):
        hits = [(box, ballots[number]) for number, box in pairs]
        votes, total = _count((rows.stop - rows.start, shape[1]), hits, len(present))
        best, most, second, next_most = _top_two(votes)
        label[rows] = np.where(total > 0, names[best], 0)
        runner_up[rows] = np.where(total > 0, names[np.where(next_most > 0, second, best)], 0)
        np.divide(most, total, out=share[rows], where=total > 0)
    return label, share, runner_up


def _classes_with_votes(labels: Labels, weight: FloatArray) -> Labels:
    occurs = np.zeros(np.iinfo(labels.dtype).max + 1, dtype=bool)
    for own, w in zip(labels, weight, strict=True):
        occurs[own if w.all() else own[w > 0]] = True
    return np.flatnonzero(occurs).astype(labels.dtype)


def _ballot(labels: Labels, probabilities: FloatArray, weight: FloatArray, present: Labels) -> Ballot:
    """One view's votes: index into ``present`` (K, h * w), votes (K, h * w), and weight (h * w + 1), whose last is "not seen"."""
    lookup = np.zeros(np.iinfo(labels.dtype).max + 1, np.uint16)
    lookup[present] = np.arange(len(present), dtype=np.uint16)
    own = np.append(weight, np.float32(0))
    index = np.empty((labels.shape[-1], weight.size), np.uint16)
    votes = np.zeros((labels.shape[-1], own.size), np.float32)
    for k in range(labels.shape[-1]):
        lookup.take(labels[..., k].ravel(), out=index[k], mode="clip")
        np.multiply(probabilities[..., k].ravel(), own[:-1], out=votes[k, :-1])
    if not weight.all():
        votes[:, own == 0] = 0  # whatever was there, NaN included
    return index, votes, own


def _count(shape: tuple[int, int], hits: list[tuple[Box, Ballot]], classes: int) -> tuple[FloatArray, FloatArray]:
    """Votes (classes, m, n) and total weight (m, n) of one band."""
    size = shape[0] * shape[1]
    votes, total = np.zeros(classes * size, np.float32), np.zeros(shape, np.float32)
    pixel = np.arange(size).reshape(shape)
    for box, (index, vote, weight) in hits:
        near = box.nearness
        total[:, box.columns] += weight.take(box.pixel, mode="clip") * near
        own = pixel[:, box.columns]
        for one, amount in zip(index, vote):
            # A view has one say per rank and pixel, so no index repeats within one addition.
            at = np.multiply(one.take(box.pixel, mode="clip"), size, dtype=np.intp)
            at += own
            votes[at] += amount.take(box.pixel, mode="clip") * near
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
