"""Distances between sets of videos or panoramas by the features that a network has of them.

What such a figure is called is the caller's: it is FVD with the features of I3D alone, and with any others nothing that can be
held against published numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
LEAST_PER_RANK = 2.0
"""Videos of each set for each direction that their features vary in: with fewer the distance is mostly that of few samples."""


def frechet_distance(first: Array, second: Array, few: bool = False) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), for the means m and covariances C of features (N, D) and (M, D).

    Parameters
    ----------
    first, second : (N, D) and (M, D)
    few : bool
        Give it for fewer videos than twice the features' effective rank too.

    Raises
    ------
    ValueError
        A set has fewer than two videos, or fewer than that.

    Notes
    -----
    The trace of the root is the sum of the singular values of A B^T, for centred features A and B over sqrt(N - 1): exact for
    fewer videos than features, where roots of singular D x D matrices are not.

    Source: Dowson and Landau, 1982; Heusel et al., 2017 (FID); Unterthiner et al., 2018 (FVD).
    """
    for features in (first, second):
        least = 2.0 if few else max(2.0, LEAST_PER_RANK * effective_rank(features))
        if len(features) < least:
            hint = "" if few else "; few=True gives it nevertheless"
            raise ValueError(
                f"a Frechet distance needs {np.ceil(least):.0f} videos or more for these features, got {len(features)}{hint}"
            )
    own, other = _centred(first), _centred(second)
    root = np.linalg.svd(own @ other.T, compute_uv=False).sum()
    means = np.sum((first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)) ** 2)
    return float(max(means + (own**2).sum() + (other**2).sum() - 2 * root, 0.0))


def kernel_distance(first: Array, second: Array) -> float:
    """The unbiased squared maximum mean discrepancy of features (N, D) and (M, D), for the kernel (x . y / D + 1)^3.

    Its mean over draws is 0 for sets of one kind, however few videos they hold; so single values may be below 0.

    Raises
    ------
    ValueError
        A set has fewer than two videos.

    Source: Gretton et al., 2012, eq. 3; Binkowski et al., 2018 (KID); Unterthiner et al., 2018 (KVD).
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"a kernel distance needs two videos of each set, got {len(first)} and {len(second)}")
    one, other = first.astype(np.float64), second.astype(np.float64)
    return _mean_of_pairs(_kernel(one, one)) + _mean_of_pairs(_kernel(other, other)) - 2 * float(_kernel(one, other).mean())


def effective_rank(features: Array) -> float:
    """In how many directions features (N, D) vary: exp of the entropy of their covariance's eigenvalues, as shares of the sum.

    Source: Roy and Vetterli, "The effective rank", EUSIPCO 2007.
    """
    values = np.linalg.svd(features - features.mean(axis=0, dtype=np.float64), compute_uv=False) ** 2
    shares = values[values > 0] / values.sum() if values.any() else np.ones(1)
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _centred(features: Array) -> Array:
    off = features - features.mean(axis=0, dtype=np.float64)
    return off / np.sqrt(len(features) - 1)


def _kernel(first: Array, second: Array) -> Array:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _mean_of_pairs(kernel: Array) -> float:
    """Of two different members of a set."""
    count = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))
