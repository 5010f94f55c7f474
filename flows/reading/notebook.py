"""What notebooks show: labels as pictures, stores and plans as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.addresses import AddressError
from storage.retries import StoreError
from tasks.ingest.images.resizing import resize_image
from tasks.pages.encoded import png
from tasks.pages.pictures import contact_sheet, depth_picture, normals_picture, semantics_picture
from tasks.pages.shown import inline
from tasks.stage.job import BadItem

Drawn = NDArray[np.uint8]


def labels_html(labels: Any) -> str:
    """A panorama and its labels as one PNG within the page, and a table of its arrays.

    Parameters
    ----------
    labels : flows.reading.labels.Labels
    """
    said = f"{labels.item}: {labels.stage} {labels.version}"
    drawn = {name: picture for name, draw in DRAWN.items() if (picture := draw(labels)) is not None}
    image = inline(png(said, contact_sheet(drawn, min(len(drawn), 2)))) if drawn else ""
    return f"<p>{escape(said)}</p>{image}<p>{escape(', '.join(labels))}</p>"


def table_html(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts."""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(one))}</td>" for one in row) + "</tr>" for row in rows)
    return f"<p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _panorama(labels: Any) -> Drawn | None:
    """The panorama as small as its labels; nothing where its file is not at hand."""
    try:
        pixels = labels.panorama
    except (BadItem, StoreError, AddressError, KeyError, ValueError):
        return None
    shape = next((labels[name].shape for name in labels if name.endswith("_valid")), pixels.shape)
    return np.asarray(resize_image(pixels, shape[0]), np.uint8)


def _depth(labels: Any) -> Drawn | None:
    if "depth" not in labels:
        return None
    depth = labels.depth
    return depth_picture(np.nan_to_num(depth), np.isfinite(depth))


def _normals(labels: Any) -> Drawn | None:
    if "normals" not in labels:
        return None
    normals = labels.normals
    return normals_picture(np.nan_to_num(normals), np.isfinite(normals[..., 0]))


def _semantics(labels: Any) -> Drawn | None:
    if "semantics" not in labels:
        return None
    return semantics_picture(labels.semantics, labels.semantics_valid, len(labels.classes) or 256)


DRAWN: dict[str, Callable[[Any], Drawn | None]] = {
    "panorama": _panorama,
    "depth": _depth,
    "normals": _normals,
    "semantics": _semantics,
}
