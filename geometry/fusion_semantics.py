"""Class labels of many views into one ERP, by soft vote: labels are never interpolated, and scores of all classes never warped.

Each view votes, with the nearest patch pixel's top K classes, its weight times their probabilities.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.backproject import BackProjection, Box, by_band

FloatArray = NDArray[np.float32]
Labels = NDArray[np.unsignedinteger]


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
    voted = np.bincount(labels[weight > 0].ravel(), minlength=1)
    if len(voted) > classes:
        raise ValueError(f"semantics hold label {len(voted) - 1}, but the vocabulary has {classes} classes")
    # Votes are counted only for classes that occur in this panorama, however large the vocabulary is.
    present = np.flatnonzero(voted)
    compact = np.zeros(1 + int(labels.max(initial=0)), np.int32)
    compact[present] = np.arange(len(present))
    shape = (views[0].height, views[0].width)
    label, runner_up, share = np.zeros(shape, dtype), np.zeros(shape, dtype), np.zeros(shape, np.float32)
    if len(present) == 0:
        return label, share, runner_up
    names = present.astype(dtype)
    top = labels.shape[-1]
    flat = weight.reshape(len(views), -1)
    patches = [
        (compact[own].reshape(-1, top), (p.reshape(-1, top) * np.where(w > 0, w, 0)[:, None]), np.append(w, np.float32(0)))
        for own, p, w in zip(labels, probabilities, flat)
    ]
    for rows, pairs in by_band(views):
        votes, total = _count((rows.stop - rows.start, shape[1]), [(box, *patches[k]) for k, box in pairs], len(present))
        best, most, second, some = _top_two(votes)
        label[rows], runner_up[rows] = names[best], np.where(some, names[second], names[best])
        share[rows] = np.divide(most, total, out=np.zeros_like(total), where=total > 0)
    return label, share, runner_up
