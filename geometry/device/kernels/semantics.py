"""Classes of one block of ERP pixels, by soft vote: :mod:`geometry.fusion.semantics`.

A pixel's few views name a dozen classes or so between them. These are held against each other in registers, so a vocabulary may
have any size, and no array of votes is ever written.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from geometry.device.kernels.measures import MIN_WEIGHT_ENTROPY, TINY, as_bytes, log_terms, share_as_byte
from geometry.device.kernels.slots import finite

NONE: tl.constexpr = tl.constexpr(1 << 20)
"""Stands for a class where there is none: above all numbers of classes."""


class Semantics(NamedTuple):
    """``classes`` (N, h, w, K) uint16, best first; ``valid`` (N, h, w) uint8; ``confidence`` (N, h, w, K) float32 or, as stored,
    uint8."""

    classes: Any
    valid: Any
    confidence: Any


@triton.jit
def fuse_semantics(
    slots: tl.tuple, semantics: tl.tuple, SLOTS: tl.constexpr, RANKS: tl.constexpr, SAID: tl.constexpr, LEAST: tl.constexpr
) -> Any:
    """Label, whether it is valid, its share of the votes in bytes, consistency, and the class with the second most votes.

    ``SAID``: probabilities are as a teacher said them, and are to be those that would be stored.
    """
    zero = slots[0][4] * 0.0
    total, within, spread = zero, zero, zero
    classes, votes = (), ()
    for slot in tl.static_range(SLOTS):
        seen, p, _, _, near, geometric = slots[slot]
        told, shares = _probabilities(semantics, p, seen, RANKS, SAID)
        own = tl.where(told, geometric, 0.0)
        for rank in tl.static_range(RANKS):
            vote = (shares[rank] * own) * near
            named = tl.load(semantics.classes + RANKS * p + rank, mask=told, other=0).to(tl.int32)
            classes = classes + (tl.where(told, named, NONE),)
            votes = votes + (vote,)
        within += (_entropy(shares, RANKS) * own) * near
        weight = near * own
        total += weight
        spread -= log_terms(weight)
    label, most, runner_up, mixture, rest = _count(classes, votes, total, SLOTS * RANKS)
    share = tl.div_rn(most, tl.maximum(total, TINY))
    valid = (share > 0) & (share >= LEAST)
    apart, weights = _divergence(mixture, rest, total, within, spread)
    consistency = as_bytes(1.0 - apart, weights >= MIN_WEIGHT_ENTROPY)
    return tl.where(valid, label, 0), valid, share_as_byte(share), consistency, tl.where(valid, runner_up, 0)


@triton.jit
def _probabilities(semantics: tl.tuple, p: tl.tensor, seen: tl.tensor, RANKS: tl.constexpr, SAID: tl.constexpr) -> Any:
    """Whether a pixel has a say, and the probabilities of its classes; zeros where not."""
    told = seen & (tl.load(semantics.valid + p, mask=seen, other=0) != 0)
    shares = ()
    for rank in tl.static_range(RANKS):
        share = tl.load(semantics.confidence + RANKS * p + rank, mask=seen, other=0).to(tl.float32)
        if SAID:
            share = _in_steps(share, rank == 0)
        elif semantics.confidence.dtype.element_ty == tl.uint8:
            share = tl.div_rn(share, 255.0)
        told = told & finite(share)
        shares = shares + (share,)
    clean = ()
    for rank in tl.static_range(RANKS):
        clean = clean + (tl.where(told, shares[rank], 0.0),)
    return told, clean


@triton.jit
def _in_steps(share: tl.tensor, FIRST: tl.constexpr) -> Any:
    """In 255 steps, ties to the even one; the first class's is one at least where it is not zero."""
    steps = tl.where(share == share, tl.minimum(tl.maximum(share, 0.0), 1.0), 0.0) * 255.0
    steps = (steps + 12582912.0) - 12582912.0  # a float32 this large has no digits behind the point
    if FIRST:
        steps = tl.maximum(steps, tl.where(share > 0, 1.0, 0.0))
    return tl.div_rn(steps, 255.0)


@triton.jit
def _entropy(shares: tl.tuple, RANKS: tl.constexpr) -> Any:
    told, entropy = shares[0] * 0.0, shares[0] * 0.0
    for rank in tl.static_range(RANKS):
        told += shares[rank]
        entropy -= log_terms(shares[rank])
    return entropy - log_terms(tl.maximum(1.0 - told, 0.0))


@triton.jit
def _count(classes: tl.tuple, votes: tl.tuple, total: tl.tensor, ENTRIES: tl.constexpr) -> Any:
    """The class with the most votes, these, the second class; the entropy of all votes, and what of the weight had no vote.

    Ties go to the lower class. A class's votes are added in the order of the views, as on a CPU, so that they tie alike.
    """
    zero = total * 0.0
    most, next_most, mixture, rest = zero, zero, zero, total
    best, second = zero.to(tl.int32) + NONE, zero.to(tl.int32) + NONE
    for entry in tl.static_range(ENTRIES):
        named = classes[entry]
        own, again = zero, zero > 1
        for other in tl.static_range(ENTRIES):
            same = classes[other] == named
            own += tl.where(same, votes[other], 0.0)
            if other < entry:
                again = again | same
        own = tl.where(again, 0.0, own)  # it was counted at the first that named it
        rest -= own
        mixture -= log_terms(own)
        ahead = (own > most) | ((own == most) & (own > 0) & (named < best))
        behind = (own > next_most) | ((own == next_most) & (own > 0) & (named < second))
        second = tl.where(ahead, best, tl.where(behind, named, second))
        next_most = tl.where(ahead, most, tl.where(behind, own, next_most))
        best, most = tl.where(ahead, named, best), tl.where(ahead, own, most)
    return best, most, tl.where(next_most > 0, second, best), mixture, rest


@triton.jit
def _divergence(mixture: tl.tensor, rest: tl.tensor, total: tl.tensor, within: tl.tensor, spread: tl.tensor) -> Any:
    """Divergence of the views' distributions, and entropy of their weights."""
    said = total - tl.minimum(rest, 0.0)
    mixture = mixture - log_terms(tl.maximum(rest, 0.0))
    some = tl.maximum(total, TINY)
    scale = tl.div_rn(1.0, some)
    log = tl.log(some)
    weights = spread * scale + tl.where(total > 0, log, 0.0)
    apart = tl.div_rn((mixture + log * said) * scale - within * scale, tl.maximum(weights, MIN_WEIGHT_ENTROPY))
    return tl.minimum(tl.maximum(apart, 0.0), 1.0), weights
