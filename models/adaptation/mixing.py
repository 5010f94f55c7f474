"""Amodal-driven contextual learning (UNLOCK eq. 8-10): objects of the pool pasted into a training crop, where they were.

No shift, no scale: an object keeps its row and column in the panorama. Later pastes lie in front of earlier ones, and all of
them in front of what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.instances.boxes import overlap as shared_parts
from models.adaptation.object_pool import PoolObject

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
PER_CROP = 10
"""Objects pasted into a crop (the paper's Table 19)."""


@dataclass(frozen=True, eq=False)
class Example:
    """A crop with its labels.

    Parameters
    ----------
    panorama : (H, W) of the panorama that it was cut from
    window : (4,) int, the crop as a box on it, see ``geometry/instances/boxes.py``
    image : (h, w, C) uint8
    semantics : (h, w) uint8
    instances, instance_classes : (N, h, w) bool visible masks, (N,) int
    amodals, amodal_classes : (M, h, w) bool whole masks, (M,) int; a list of its own, since another branch finds them
    covered : (h, w) bool, where something was pasted: what is said of these pixels is certain
    """

    panorama: tuple[int, int]
    window: NDArray[np.int64]
    image: NDArray[np.uint8]
    semantics: NDArray[np.uint8]
    instances: Mask
    instance_classes: Integers
    amodals: Mask
    amodal_classes: Integers
    covered: Mask


@dataclass(frozen=True)
class Mixing:
    """What of an object is pasted.

    ``fill``: what the overlapped part shows: ``pixels`` (as they were, other objects' included), ``zero`` or ``noise``.
    ``whole``: whether that part is pasted and labelled at all. ``complete_only``: take only objects that nothing overlaps.
    """

    fill: str = "zero"
    whole: bool = True
    complete_only: bool = False


MIXINGS = {
    "zero": Mixing(),
    "amodal": Mixing("pixels"),
    "instance": Mixing("pixels", whole=False),
    "aomix": Mixing("pixels", complete_only=True),
    "random": Mixing("noise"),
}
"""By the paper's names; ``zero`` is its own, the others are what it compares with. docs/adapt.md says how they were read."""


def choose(
    pool: Sequence[PoolObject],
    example: Example,
    generator: np.random.Generator,
    mixing: Mixing = MIXINGS["zero"],
    count: int = PER_CROP,
) -> list[PoolObject]:
    """Up to ``count`` different objects of the pool that show in the crop, in the order in which to paste them.

    Raises
    ------
    ValueError
        If an object comes from a panorama of another size than the crop's: its place would mean nothing there.
    """
    for one in pool:
        if one.panorama != example.panorama:
            raise ValueError(
                f"an object of {one.item} comes from a panorama of {one.panorama}, the crop from one of {example.panorama}; "
                "bring all panoramas to one size before cutting objects"
            )
    showing = [one for one in pool if _shows(one, example, mixing)]
    picked = generator.permutation(len(showing))[:count]
    return [showing[index] for index in picked]


def _shows(one: PoolObject, example: Example, mixing: Mixing) -> bool:
    if mixing.complete_only and one.overlap.any():
        return False
    shape = one.whole if mixing.whole else one.visible
    parts = shared_parts(one.box, example.window, example.panorama[1])
    return any(shape[rows, columns].any() for rows, columns, _, _ in parts)


def mix(
    example: Example, objects: Sequence[PoolObject], generator: np.random.Generator, mixing: Mixing = MIXINGS["zero"]
) -> Example:
    """The crop with objects pasted in, the first at the back.

    Notes
    -----
    Semantics take the object's class over all that is pasted, instance masks lose what is pasted over them, amodal masks stay
    whole, and whatever is covered entirely is removed. Pasted objects stand at the end of both lists, in one order. The input
    is not changed; without objects the output is the input.
    """
    if not objects:
        return example
    image, semantics = example.image.copy(), example.semantics.copy()
    shapes = np.zeros((len(objects), *semantics.shape), bool)
    for one, shape in zip(objects, shapes):
        patch = _patch(one, generator, mixing)
        pasted = one.whole if mixing.whole else one.visible
        for rows, columns, to_rows, to_columns in shared_parts(one.box, example.window, example.panorama[1]):
            part = pasted[rows, columns]
            shape[to_rows, to_columns] |= part
            image[to_rows, to_columns][part] = patch[rows, columns][part]
        semantics[shape] = one.label
    labels = np.array([one.label for one in objects], example.instance_classes.dtype)
    everywhere = np.any(shapes, axis=0)
    in_front = _in_front(shapes)
    instances = np.concatenate([example.instances & ~everywhere, shapes & ~in_front])
    amodals = np.concatenate([example.amodals, shapes])
    in_view = np.any(instances, axis=(1, 2))
    in_part = np.any(np.concatenate([example.amodals & ~everywhere, shapes & ~in_front]), axis=(1, 2))
    return Example(
        example.panorama,
        example.window,
        image,
        semantics,
        instances[in_view],
        np.concatenate([example.instance_classes, labels])[in_view],
        amodals[in_part],
        np.concatenate([example.amodal_classes, labels])[in_part],
        example.covered | everywhere,
    )


def _in_front(shapes: Mask) -> Mask:
    """(K, h, w) bool: for each shape, what the later ones cover."""
    later = np.zeros_like(shapes)
    for index in range(len(shapes) - 2, -1, -1):
        later[index] = later[index + 1] | shapes[index + 1]
    return later


def _patch(one: PoolObject, generator: np.random.Generator, mixing: Mixing) -> NDArray[np.uint8]:
    """The object's pixels (h, w, C) as they are pasted."""
    patch = one.pixels.copy()
    patch[one.overlap] = FILLS[mixing.fill](patch[one.overlap], generator)
    return patch


FILLS: dict[str, Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]] = {
    "pixels": lambda pixels, generator: pixels,
    "zero": lambda pixels, generator: np.zeros_like(pixels),
    "noise": lambda pixels, generator: generator.integers(0, 256, pixels.shape, np.uint8),
}
