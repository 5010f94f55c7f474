"""The report of an adaptation as one HTML file: figures before and after, thresholds, pool, losses, pictures of pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from models.seamless.pseudo_labels import IGNORED, OmniLabels
from tasks.adapt.omni import unpack_labels
from tasks.pictures import palette, semantics_picture
from tasks.report import format_figure, picture_uri

UNCERTAIN = (250, 70, 210)
"""Colour of pixels where nothing is learned."""


def render_adapt_report(**values: Any) -> str:
    """The HTML of a report; ``values`` are those that ``report.html`` names."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": format_figure, "uri": picture_uri}
    template = environment.from_string(files("tasks.adapt").joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(**values)


def label_pictures(pixels: NDArray[np.uint8], labels: Mapping[str, NDArray], classes: int) -> dict[str, NDArray[np.uint8]]:
    """What is learned of a panorama, as pictures: classes, visible objects and whole objects."""
    semantics = labels["semantics"]
    shown = {"panorama": pixels, "classes": semantics_picture(semantics, semantics != IGNORED, classes)}
    for branch, name in (("instances", "visible objects"), ("amodals", "whole objects")):
        shown[name] = objects_picture(pixels, unpack_labels(branch, labels))
    return shown


def objects_picture(pixels: NDArray[np.uint8], labels: OmniLabels) -> NDArray[np.uint8]:
    """Each object in a colour of its own over the grey panorama, mixed where they overlap; uncertain pixels in pink."""
    grey = np.repeat(pixels.mean(axis=2, keepdims=True) * 0.5, 3, axis=2)
    for mask, colour in zip(labels.masks, palette(len(labels.masks))):
        grey[mask] = (grey[mask] + colour) / 2
    grey[labels.uncertain] = UNCERTAIN
    return grey.astype(np.uint8)
