"""A panorama's labels as files that other programs read: this project's own folder for each panorama, and PaGeR's."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.label.fuse import decode_labels

FAR = 75.0
"""How far PaGeR's files have the sky, in metres."""
LABELS = "labels.json"

Files = dict[str, bytes]
"""Path below the folder -> contents."""


def as_files(item: str, arrays: Mapping[str, NDArray], classes: int) -> Files:
    """``<item>/depth.npy`` (H, W) float32, ``normals.npy`` (H, W, 3) float32, NaN where not valid; ``semantics.png`` (H, W), the
    largest number where not valid; ``sky.png`` (H, W), 255 or 0.

    Parameters
    ----------
    item : name of the panorama
    arrays : as they are stored
    classes : size of the vocabulary
    """
    labels, files = decode_labels(arrays), Files()
    for name in (name for name in ("depth", "normals") if name in labels):
        valid = labels[f"{name}_valid"] if name == "depth" else labels[f"{name}_valid"][..., None]
        files[f"{item}/{name}.npy"] = _npy(np.where(valid, labels[name], np.float32(np.nan)))
    if "semantics" in labels:
        dtype = np.uint8 if classes < np.iinfo(np.uint8).max else np.uint16
        known = np.where(labels["semantics_valid"], labels["semantics"], np.iinfo(dtype).max)
        files[f"{item}/semantics.png"] = _png(known.astype(dtype))
    if "sky" in labels:
        files[f"{item}/sky.png"] = _png(labels["sky"].astype(np.uint8) * np.uint8(255))
    return files


def as_pager(item: str, arrays: Mapping[str, NDArray], _classes: int) -> Files:
    """``depth/preds/<item>.npz``, (1, H, W) float32 metres along the ray, and ``normals/preds/<item>.npz``, (3, H, W) float32
    along forward, up and left; arrays are called ``arr_0``. The sky is 75 m away; zero is what is not valid elsewhere.

    Parameters
    ----------
    item : name of the panorama
    arrays : as they are stored
    """
    labels, files = decode_labels(arrays), Files()
    if "depth" in labels:
        depth = np.where(labels["depth_valid"], labels["depth"], 0)
        if "sky" in labels:
            depth = np.where(labels["sky"], FAR, depth)
        files[f"depth/preds/{item}.npz"] = _npz(depth[None].astype(np.float32))
    if "normals" in labels:
        right, down, forward = np.moveaxis(np.where(labels["normals_valid"][..., None], labels["normals"], 0), -1, 0)
        files[f"normals/preds/{item}.npz"] = _npz(np.stack([forward, -down, -right]).astype(np.float32))
    return files


LAYOUTS: Mapping[str, Callable[[str, Mapping[str, NDArray], int], Files]] = {"files": as_files, "pager": as_pager}
"""By what ``export --to`` calls them. The teacher of kind ``files`` reads both."""


def _npy(values: NDArray[Any]) -> bytes:
    np.save(out := io.BytesIO(), np.ascontiguousarray(values), allow_pickle=False)
    return out.getvalue()


def _npz(values: NDArray[Any]) -> bytes:
    np.savez_compressed(out := io.BytesIO(), values)
    return out.getvalue()


def _png(values: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(".png", values)[1])
