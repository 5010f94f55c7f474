"""Training crops of a pseudo-labelled panorama; they may lie across its seam."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.instances.boxes import cut
from models.adaptation.mixing import Example
from models.adaptation.pseudo_labels import OmniLabels

Mask = NDArray[np.bool_]


def random_window(panorama: tuple[int, int], size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.int64]:
    """A window of that size (h, w) anywhere on a panorama (H, W), as a box of ``geometry/instances/boxes.py``.

    Raises
    ------
    ValueError
        If the window is larger than the panorama.
    """
    if size[0] > panorama[0] or size[1] > panorama[1]:
        raise ValueError(f"a crop of {size} does not fit into a panorama of {panorama}")
    return np.array([generator.integers(panorama[0] - size[0] + 1), generator.integers(panorama[1]), *size], np.int64)


def crop(
    image: NDArray[np.uint8], semantics: NDArray[np.uint8], instances: OmniLabels, amodals: OmniLabels, window: NDArray[np.int64]
) -> tuple[Example, tuple[Mask, Mask]]:
    """The crop with its labels, and the uncertain regions (h, w) of the instance and of the amodal branch.

    Objects of which the window shows nothing are left out.
    """
    visible, visible_classes = _inside(instances, window)
    whole, whole_classes = _inside(amodals, window)
    nowhere = np.zeros((int(window[2]), int(window[3])), bool)
    size = (image.shape[0], image.shape[1])
    pixels, labels = cut(image, window), cut(semantics, window)
    example = Example(size, window, pixels, labels, visible, visible_classes, whole, whole_classes, nowhere)
    return example, (cut(instances.uncertain, window), cut(amodals.uncertain, window))


def _inside(labels: OmniLabels, window: NDArray[np.int64]) -> tuple[Mask, NDArray[np.integer]]:
    """Masks (K, h, w) that show in the window, and their classes (K,)."""
    cuts = np.array([cut(mask, window) for mask in labels.masks], bool).reshape(-1, int(window[2]), int(window[3]))
    shown = np.any(cuts, axis=(1, 2))
    return cuts[shown], labels.classes[shown]
