"""How far the views of one direction agree, in 0..1, and where that can be told at all.

Every measure is that of two *different* views drawn by their weights. A plain weighted spread says that views agree wherever
one of them has nearly all the weight; so it is divided by ``rivalry``, the probability that two draws are of different views.

| field     | disagreement of two views                                              | consistency                       |
|-----------|------------------------------------------------------------------------|-----------------------------------|
| depth     | root mean square of ``|delta log r| / sqrt(2)``: one view's deviation  | ``exp(-deviation / scale)``       |
| normals   | angle whose cosine is the pairs' mean cosine                           | ``exp(-angle / 20 degrees)``      |
| semantics | Jensen-Shannon divergence of the views' class distributions, as a      | ``1 - divergence``                |
|           | share of the entropy of the views' weights, which is its largest value |                                   |

What views agree on can still be wrong: an error that all of them share leaves every measure as it is.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

ANGLE_SCALE = float(np.radians(20))
"""Angle between two normals at which their consistency has dropped to 1/e."""
MIN_RIVALRY = 0.02
"""Below, one view has 99 % of the weight, and rounding would decide."""
MIN_WEIGHT_ENTROPY = 0.056
"""Nats; the entropy of weights that are as unequal."""
TINY = np.float32(1e-30)


def rivalry(total: FloatArray, squares: FloatArray) -> FloatArray:
    """Probability that two draws by weight are of different views, from sums of weights and of their squares; 0 where none."""
    pairs = total * total
    return (pairs - squares) / np.maximum(pairs, TINY)


def deviation(variance: FloatArray, rivals: FloatArray) -> FloatArray:
    """One view's standard deviation, from the weighted variance over views; no meaning below :data:`MIN_RIVALRY`."""
    spread = variance / np.maximum(rivals, np.float32(MIN_RIVALRY))
    return np.sqrt(np.maximum(spread, 0, out=spread), out=spread)


def pair_angle(length: FloatArray, rivals: FloatArray) -> FloatArray:
    """Angle in radians whose cosine is the mean cosine of pairs of different views; no meaning below :data:`MIN_RIVALRY`.

    Parameters
    ----------
    length : (...) float32
        Of the weighted mean of the views' unit vectors.
    rivals : (...) float32
        As :func:`rivalry` gives them.
    """
    cosine = 1 - (1 - length * length) / np.maximum(rivals, np.float32(MIN_RIVALRY))
    return np.arccos(np.clip(cosine, -1, 1, out=cosine), out=cosine)


def divergence(mixture: FloatArray, within: FloatArray, weights: FloatArray) -> FloatArray:
    """Jensen-Shannon divergence as a share of its largest value, 0 to 1; no meaning below :data:`MIN_WEIGHT_ENTROPY`.

    Parameters
    ----------
    mixture, within, weights : (...) float32
        Nats: entropy of the mean distribution; mean entropy of the views' own; entropy of the views' weights.
    """
    share: FloatArray = np.divide(mixture - within, np.maximum(weights, np.float32(MIN_WEIGHT_ENTROPY)))
    return np.clip(share, 0, 1, out=share)


def log_terms(values: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """``v log v`` of values that are not negative, zero at zero: an entropy is minus their sum. ``out`` is not ``values``."""
    terms = np.maximum(values, TINY, out=out)
    np.log(terms, out=terms)
    terms *= values
    return terms


def angle_consistency(angle: FloatArray) -> FloatArray:
    """Consistency in 0..1 of an angle in radians."""
    return np.exp(angle * np.float32(-1 / ANGLE_SCALE))


def as_bytes(consistency: FloatArray, judged: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """In 255 steps: 1 to 255 where it was judged, 0 where fewer than two views had a say."""
    steps = np.clip(consistency * 255 + np.float32(0.5), 1, 255).astype(np.uint8)
    steps *= judged
    return steps
