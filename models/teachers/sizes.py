"""Which input sizes a network takes whole, and whether its answer covers them; elsewhere rows are dropped, the rest stretched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

ONE_SIZE = ("beit", "data2vec-vision", "eomt", "eomt_dinov3", "videomt")
"""Model types whose mask grid or relative positions are built for ``image_size`` alone."""
HALVED_GRID = ("dpt", "tipsv2_dpt", "zoedepth", "chmv2")
"""Model types that halve their grid of patches and double it again, which gives another size if it is odd."""
COARSEST = 64
"""Pixels of an input that one pixel of an answer may stand for, at most."""
USUAL_STEPS = (2, 4, 8, 14, 16, 28, 32, 64)
"""What networks divide their inputs by."""
MOST_DROPPED = 64
"""Rows at the end of an input that are tried for whether they matter."""


@dataclass(frozen=True)
class SizeRule:
    """Sizes that a network takes whole: multiples of ``multiple``, or ``only`` one (height, width)."""

    multiple: int = 1
    only: tuple[int, int] | None = None

    def check(self, size: tuple[int, int], key: str) -> None:
        """ValueError if a size is none of them; names ``key`` and the nearest ones."""
        if self.only and size != self.only:
            raise ValueError(f"{key}: this network takes {_words(self.only)} alone, not {_words(size)}; drop the key")
        if any(side % self.multiple for side in size):
            raise ValueError(
                f"{key}: {_words(size)} is no multiple of {self.multiple}, which this network divides its input by, so the rest "
                f"would be dropped or filled up, and labels stretched; use {nearest(size, self.multiple)}"
            )


def nearest(size: tuple[int, int], multiple: int) -> str:
    """The multiples around a size, in words."""
    below = tuple(max(side // multiple, 1) * multiple for side in size)
    above = tuple(-(-side // multiple) * multiple for side in size)
    return _words(below) if below == above else f"{_words(below)} or {_words(above)}"


def _words(size: tuple[int, ...]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]} x {size[1]}"


def size_rule(config: Any) -> SizeRule:
    """The sizes that a network of `transformers` takes whole, from its config."""
    kind = config.model_type
    if kind in ONE_SIZE:
        return SizeRule(only=_pair(config.image_size))
    if kind == "depth_pro":  # its smallest scale is one patch, and the others are tiled without rest
        return SizeRule(only=_pair(round(config.patch_size / min(config.scaled_images_ratios))))
    backbone = getattr(config, "backbone_config", None) or config
    return SizeRule(_divisor(backbone) * (2 if kind in HALVED_GRID else 1))


def _divisor(config: Any) -> int:
    """Pixels of the input for one of the coarsest grid."""
    if strides := getattr(config, "strides", None):  # SegFormer, GLPN
        return int(np.prod(strides))
    if getattr(config, "output_stride", None):  # MobileNet, MobileViT, whose patches are of features
        return 32
    patch = getattr(config, "patch_stride", None) or getattr(config, "patch_size", None)
    stages = getattr(config, "depths", None)
    if stages is None:
        return max(_pair(patch)) if patch else 32
    # Swin, ConvNeXt, ResNet and their like: a first step, then every stage but the first halves.
    return max(_pair(patch or 4)) * 2 ** (len(stages) - 1)


def _pair(side: Any) -> tuple[int, int]:
    height, width = (side, side) if isinstance(side, int) else side
    return int(height), int(width)


def check_answer(answer: tuple[int, ...], given: tuple[int, ...]) -> None:
    """That an answer (height, width) is a fixed multiple or fraction of the input, the same along both axes.

    An input pixel stands for n answers, or a square of them (a patch) for a power of two of answers. Anything else covers another
    part of the picture, and nobody knows which.

    Raises
    ------
    ValueError
        It is none.
    """
    ratios = {Fraction(*sides) for sides in zip(answer, given, strict=True)}
    ratio = ratios.pop()
    halving = ratio.numerator & (ratio.numerator - 1) == 0 and ratio.denominator <= COARSEST
    if ratios or not (ratio.denominator == 1 or halving):
        raise ValueError(
            f"the network answers {answer[0]} x {answer[1]} to an input of {given[0]} x {given[1]}, which is no fixed multiple "
            "or fraction of it: rows were dropped or added, so its answer would be stretched over the whole view; use an input "
            "size that the network divides"
        )


def check_whole(answer: Callable[[NDArray[np.uint8]], NDArray], size: tuple[int, int], key: str) -> None:
    """That a network looks at all rows and columns of an input, found out by changing the last ones.

    For networks that have no config to ask. Where the first row has no influence either, nothing is said.

    Parameters
    ----------
    answer : function of a patch (h, w, 3) uint8 of any size
        The network's whole output.
    size : (h, w)

    Raises
    ------
    ValueError
        The last rows or columns are dropped; names ``key`` and the nearest sizes.
    """
    for axis in (0, 1):
        if not _matters(answer, size, axis, 1, first=True) or _matters(answer, size, axis, 1):
            continue
        side = size[axis]
        most = min(MOST_DROPPED, side - 1)
        dropped = next((count for count in range(2, most + 1) if _matters(answer, size, axis, count)), most + 1) - 1
        fits = [side - dropped]
        for step in (step for step in USUAL_STEPS if step > dropped):
            wider = (side - dropped + step, size[1]) if axis == 0 else (size[0], side - dropped + step)
            if _matters(answer, wider, axis, 1):
                fits.append(wider[axis])
                break
        raise ValueError(
            f"{key}: the network drops the last {dropped} of {side} {('rows', 'columns')[axis]}, so its answer would be "
            f"stretched over the whole view; use {' or '.join(map(str, fits))}"
        )


def _matters(
    answer: Callable[[NDArray[np.uint8]], NDArray], size: tuple[int, int], axis: int, count: int, first: bool = False
) -> bool:
    """Whether a network answers otherwise where the last rows or columns of its input are others."""
    patch = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    changed = patch.copy()
    window = (slice(None),) * axis + (slice(0, count) if first else slice(-count, None),)
    changed[window] = 255 - changed[window]
    try:
        return not np.array_equal(answer(patch), answer(changed), equal_nan=True)
    except Exception:  # a runtime refuses, in its own words, a size that it cannot take
        return False
