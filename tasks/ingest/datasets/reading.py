"""The truth of one panorama of a data set, checked: shapes that agree, normals in our frame, nothing where nothing was seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from metrics.weights import kept_rows
from storage.fingerprint import digest
from storage.urls import read_bytes
from tasks.ingest.datasets import DATA_SETS
from tasks.ingest.datasets.truth import Arrays, Found
from tasks.ingest.settings import Source
from tasks.stage.job import BadItem

LEAST_FACING = 0.9
"""Share of normals that must face the camera. In the right frame it is near 1; with one axis the wrong way, about 2/3 to 3/4."""


def read_data_set_truth(source: Source, uri: str) -> tuple[Arrays, dict[str, str]]:
    """Truth of the panorama at a URL of the source, and the sha256 of each file that it was read from; nothing if it has none.

    Returns
    -------
    arrays : dict
        Those of ``depth`` (H, W) float32 radial metres, ``normals`` (H, W, 3) float32 unit vectors in the world frame,
        ``semantics`` (H, W) uint8 that the data set has, each with its ``*_valid`` (H, W) bool; ``instances`` (H, W) int32,
        0 for none.
    digests : dict
        Name of the file -> sha256.

    Raises
    ------
    BadItem
        A file is missing, damaged, or not what the data set's description says; the message names it.
    """
    data_set, files = DATA_SETS[source.kind], truth_files(source, uri)
    if not files:
        return {}, {}
    try:
        arrays = data_set.decode(Found(files, data_set.layout.truth(source.url, uri)), uri)
        _check(arrays)
    except Exception as error:  # what strangers' files hold may trip any parser, and must not stop a run
        raise BadItem(f"{uri}: its truth cannot be read as that of {source.kind}: {error}") from error
    return _cropped(arrays, data_set.pole_crop), {name: digest(data) for name, data in files.items()}


def truth_files(source: Source, uri: str) -> dict[str, bytes]:
    """The files of truth that the panorama at a URL of the source has, by name."""
    urls = DATA_SETS[source.kind].layout.truth(source.url, uri)
    return {name: data for name, url in urls.items() if (data := _read(url)) is not None}


def _read(url: str) -> bytes | None:
    try:
        return read_bytes(url)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check(arrays: Arrays) -> None:
    """Raise ValueError if the arrays contradict each other, or the frame."""
    sizes = {name: array.shape[:2] for name, array in arrays.items() if not name.endswith("_valid")}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"its arrays differ in size: {', '.join(f'{name} {size}' for name, size in sizes.items())}")
    if "normals" in arrays and arrays["normals_valid"].any():
        facing = float((towards_camera(arrays["normals"]) > 0)[arrays["normals_valid"]].mean())
        if facing < LEAST_FACING:
            raise ValueError(f"only {facing:.0%} of its normals face the camera, so they are in another frame than is documented")


def towards_camera(normals: NDArray) -> NDArray:
    """Cosine (H, W) float32 between normals (H, W, 3) float32 in the world frame and the way back to the camera."""
    height, width = normals.shape[:2]
    return -(normals * erp_directions(height, width, np.float32)).sum(axis=-1)


def _cropped(arrays: Arrays, pole_crop: float) -> Arrays:
    if not arrays or not pole_crop:
        return arrays
    kept = kept_rows(next(iter(arrays.values())).shape[0], pole_crop)[:, None]
    return {name: array & kept if name.endswith("_valid") else array for name, array in arrays.items()}
