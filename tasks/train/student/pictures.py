"""A student's answers beside the labels, as pictures: three a task, of one colour scale, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.pages import pictures
from tasks.pages.pictures import Picture

WIDTH = 512
"""Pixels. Pictures of fewer are enlarged by whole numbers, pixel by pixel."""
Arrays = Mapping[str, NDArray[Any]]


def comparison_pictures(image: NDArray[np.uint8], labels: Arrays, said: Arrays, classes: int) -> dict[str, Picture]:
    """The panorama, and for each task the label, the student's answer, and their difference.

    Parameters
    ----------
    image : (H, W, 3) uint8
    labels, said : ERP arrays (H, W[, 3]) with ``*_valid``; a task that either lacks is left out
    classes : size of the vocabulary, which fixes the colours
    """
    times = max(1, -(-WIDTH // image.shape[1]))
    label, answer = ({name: _enlarged(array, times) for name, array in arrays.items()} for arrays in (labels, said))
    drawn = {"panorama": _enlarged(image, times)}
    for task, draw in (("depth", _depth), ("normals", _normals), ("semantics", _semantics)):
        if task in label and task in answer:
            names = (f"{task}: label", f"{task}: student", f"{task}: difference")
            drawn |= dict(zip(names, draw(label, answer, classes)))
    return drawn


def _enlarged(array: NDArray[Any], times: int) -> NDArray[Any]:
    return array.repeat(times, axis=0).repeat(times, axis=1)


def _depth(label: Arrays, answer: Arrays, _classes: int) -> tuple[Picture, ...]:
    known, both = label["depth_valid"], label["depth_valid"] & answer["depth_valid"]
    span = pictures.depth_range(label["depth"], known) if known.any() else None
    return (
        pictures.depth_picture(label["depth"], known, span),
        pictures.depth_picture(answer["depth"], answer["depth_valid"], span),
        pictures.error_picture(answer["depth"], label["depth"], both),
    )


def _normals(label: Arrays, answer: Arrays, _classes: int) -> tuple[Picture, ...]:
    both = label["normals_valid"] & answer["normals_valid"]
    return (
        pictures.normals_picture(label["normals"], label["normals_valid"]),
        pictures.normals_picture(answer["normals"], answer["normals_valid"]),
        pictures.angle_picture(label["normals"], answer["normals"], both),
    )


def _semantics(label: Arrays, answer: Arrays, classes: int) -> tuple[Picture, ...]:
    both = label["semantics_valid"] & answer["semantics_valid"]
    return (
        pictures.semantics_picture(label["semantics"], label["semantics_valid"], classes),
        pictures.semantics_picture(answer["semantics"], answer["semantics_valid"], classes),
        pictures.difference_picture(label["semantics"], answer["semantics"], both),
    )
