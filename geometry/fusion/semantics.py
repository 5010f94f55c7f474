"""Class labels of many views into one ERP, by soft vote: labels are never interpolated, and scores of all classes never warped.

Each view votes, with the nearest patch pixel's top K classes, its weight times their probabilities. What these leave of a
view's probability counts as one further class where views are compared.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geometry.fusion.consistency import MIN_WEIGHT_ENTROPY, TINY, as_bytes, divergence, log_terms
from geometry.resampling.backproject import BackProjection, Band, Box, by_band
from geometry.threads import WORKERS

FloatArray = NDArray[np.float32]
Labels = NDArray[np.unsignedinteger]
CHUNK = 8192  # pixels whose entropies are taken at a time: they stay in a core's cache
Ballot = tuple[NDArray[np.uint16], FloatArray, FloatArray]


class FusedClasses(NamedTuple):
    """Classes of all views together.

    ``label`` (H, W) uint8 or uint16; ``share`` (H, W) float32, the label's share of all weight at the pixel, zero where no view
    has a valid say; ``runner_up`` (H, W) like label, the class with the second most votes, or the label itself where nothing else
    had a vote; ``consistency`` (H, W) uint8, 255 where the views' class distributions are the same, 1 where they have nothing in
    common, by their Jensen-Shannon divergence, and 0 where fewer than two views have a say.
    """

    label: Labels
    share: FloatArray
    runner_up: Labels
    consistency: NDArray[np.uint8]


def fuse_semantics(
    labels: Labels, probabilities: FloatArray, weight: FloatArray, views: Sequence[BackProjection], classes: int
) -> FusedClasses:
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

    Raises
    ------
    ValueError
        If a label is not below ``classes``.
    """
    present, dtype = _present(labels, weight, classes), np.uint8 if classes <= 256 else np.uint16
    shape = (views[0].height, views[0].width)
    label, share, runner_up, consistency = (np.zeros(shape, kind) for kind in (dtype, np.float32, dtype, np.uint8))
    if len(present) == 0:
        return FusedClasses(label, share, runner_up, consistency)
    names = present.astype(dtype)

    def fuse_band(band: Band) -> None:
        rows, pairs = band
        hits = [(box, ballots[number]) for number, box in pairs]
        votes, total, within, spread = _count((rows.stop - rows.start, shape[1]), hits, len(present))
        best, most, second, next_most = _top_two(votes)
        label[rows] = np.where(total > 0, names[best], 0)
        runner_up[rows] = np.where(total > 0, names[np.where(next_most > 0, second, best)], 0)
        np.divide(most, np.maximum(total, TINY), out=share[rows])
        apart, weights = _divergence(votes, total, within, spread)
        consistency[rows] = as_bytes(1 - apart, weights >= MIN_WEIGHT_ENTROPY)

    # Views and bands are independent of each other, and numpy lets go of the interpreter while it works.
    with ThreadPoolExecutor(WORKERS) as pool:
        ballots = list(pool.map(_ballot, labels, probabilities, weight, repeat(present)))
        list(pool.map(fuse_band, by_band(views)))
    return FusedClasses(label, share, runner_up, consistency)


def _present(labels: Labels, weight: FloatArray, classes: int) -> NDArray[np.intp]:
    """Classes that occur in this panorama: votes are counted only for these, however large the vocabulary is."""
    with ThreadPoolExecutor(WORKERS) as pool:
        present = np.flatnonzero(np.any(list(pool.map(_classes_with_votes, labels, weight)), axis=0))
    if len(present) and present[-1] >= classes:
        raise ValueError(f"semantics hold label {present[-1]}, but the vocabulary has {classes} classes")
    return present


def _classes_with_votes(labels: Labels, weight: FloatArray) -> NDArray[np.bool_]:
    """For every value that the labels' type can hold, whether it occurs where the weight is positive."""
    occurs = np.zeros(np.iinfo(labels.dtype).max + 1, dtype=bool)
    top = labels.shape[-1]
    flat = (labels if weight.all() else labels[weight > 0]).ravel()
    occurs[flat[:top]] = True
    occurs[flat[top:][flat[top:] != flat[:-top]]] = True  # a neighbour says the same in all but a few places
    return occurs


def _ballot(labels: Labels, probabilities: FloatArray, weight: FloatArray, present: NDArray[np.intp]) -> Ballot:
    """One view's indices into ``present`` (h * w, K); its votes and weight (h * w + 1, K + 1); its entropy times its weight
    (h * w + 1,). The last row is "not seen"."""
    own, top = weight.ravel(), labels.shape[-1]
    votes, flat = np.empty((own.size + 1, top + 1), np.float32), probabilities.reshape(-1, top)
    votes[-1], within = 0, np.zeros(own.size + 1, np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # whatever stands where the weight is zero, cleared below
        for k in range(top):
            np.multiply(flat[:, k], own, out=votes[:-1, k])
        np.multiply(_entropy(flat), own, out=within[:-1])
    votes[:-1, top] = own
    if not own.all():
        votes[:-1][own == 0], within[:-1][own == 0] = 0, 0  # whatever was there, NaN included
    lookup = np.zeros(np.iinfo(labels.dtype).max + 1, np.uint16)
    lookup[present] = np.arange(len(present), dtype=np.uint16)
    return lookup.take(labels, mode="clip").reshape(-1, top), votes, within


def _count(
    shape: tuple[int, int], hits: list[tuple[Box, Ballot]], classes: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Votes (classes, m, n) of one band; (m, n) sums over views of their weights w, of w times entropy, and of ``-w log w``."""
    size = shape[0] * shape[1]
    votes = np.zeros(classes * size, np.float32)
    total, within, spread = np.zeros((3, *shape), np.float32)
    pixel = np.arange(size).reshape(shape)
    for box, (index, vote, entropy) in hits:
        near, own = box.nearness, pixel[:, box.columns]
        classes_here = index.take(box.pixel, axis=0, mode="clip")
        votes_here = vote.take(box.pixel, axis=0, mode="clip")
        for k in range(index.shape[1]):
            # A view has one say per rank and pixel, so no index repeats within one addition.
            at = np.multiply(classes_here[..., k], size, dtype=np.intp)
            at += own
            votes[at] += votes_here[..., k] * near
        within[:, box.columns] += entropy.take(box.pixel, mode="clip") * near
        weight = near * votes_here[..., -1]
        total[:, box.columns] += weight
        spread[:, box.columns] -= log_terms(weight)
    return votes.reshape(classes, *shape), total, within, spread


def _entropy(probabilities: FloatArray) -> FloatArray:
    """Entropy (n,) in nats of distributions (n, K) and of what each leaves to one."""
    entropy, minus = np.empty(len(probabilities), np.float32), np.full(probabilities.shape[-1], -1, np.float32)
    for start in range(0, len(entropy), CHUNK):
        some = probabilities[start : start + CHUNK]
        rest = np.maximum(1 + some @ minus, 0)
        np.subtract(log_terms(some) @ minus, log_terms(rest), out=entropy[start : start + CHUNK])
    return entropy


def _divergence(votes: FloatArray, total: FloatArray, within: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Divergence (m, n) of the views' distributions, and entropy (m, n) of their weights, from what :func:`_count` summed."""
    mixture, rest, terms = np.zeros_like(total), total.copy(), np.empty_like(total)
    for own in votes:
        if own.max() > 0:  # most classes are not seen in most bands
            rest -= own
            mixture -= log_terms(own, terms)
    said: FloatArray = total - np.minimum(rest, 0)  # more than all weight where stored probabilities were rounded beyond 1
    mixture -= log_terms(np.maximum(rest, 0, out=rest), terms)
    # The entropy of parts v / W is (sum of -v log v) / W + log W (sum of v) / W.
    some = np.maximum(total, TINY)
    scale: FloatArray = np.reciprocal(some)
    log: FloatArray = np.log(some)
    weights = spread * scale + log * (total > 0)
    return divergence((mixture + log * said) * scale, within * scale, weights), weights


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
