"""Arrays out of the files of predictions: npz, npy, exr and png."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.fields import CannotLabel

CHANNELS = ("Y", "Z", "R", "V")
"""Names that a depth has in an EXR file, the likeliest first."""


def read_map(path: Path, key: str) -> NDArray[Any]:
    """What a file says of every direction: (H, W), or (H, W, 3) of normals, whichever way round they were stored.

    Raises
    ------
    CannotLabel
        There is no such file, it cannot be read, or what it holds is no map of the whole sphere.
    """
    if not path.is_file():
        raise CannotLabel(f"there is no prediction {path}")
    try:
        values = _read(path, key)
    except CannotLabel:
        raise
    except Exception as error:  # zipfile, zlib, NumPy's parser and the readers of pictures have many of their own
        raise CannotLabel(f"{path}: the prediction cannot be read: {error}") from error
    found = values.squeeze()
    if found.ndim == 3 and found.shape[0] == 3 and found.shape[2] != 3:
        found = found.transpose(1, 2, 0)
    if found.ndim not in (2, 3) or found.shape[1] != 2 * found.shape[0] or found.shape[2:] not in ((), (3,)):
        raise CannotLabel(f"{path}: {values.shape} is no map of the whole sphere, which is twice as wide as high")
    return found


def _read(path: Path, key: str) -> NDArray[Any]:
    if path.suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            if key not in arrays:
                raise CannotLabel(f"{path}: holds no {key!r}, only {', '.join(arrays)}; set `key`")
            return np.asarray(arrays[key])
    if path.suffix == ".exr":
        return _read_exr(path)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise CannotLabel(f"{path}: is no PNG")
    return np.asarray(picture[..., 2::-1] if picture.ndim == 3 else picture)


def _read_exr(path: Path) -> NDArray[np.float32]:
    """Its one channel, or three of them."""
    import OpenEXR

    channels = OpenEXR.File(str(path), separate_channels=True).channels()
    single = [name for name in CHANNELS if name in channels]
    if {"R", "G", "B"} <= channels.keys():
        planes = [np.asarray(channels[name].pixels, np.float32) for name in "RGB"]
        alike = all(np.array_equal(plane, planes[0]) for plane in planes)
        return planes[0] if alike else np.stack(planes, axis=-1)
    if not single:
        raise CannotLabel(f"{path}: has the channels {', '.join(channels)}; a depth is one of {', '.join(CHANNELS)}")
    return np.asarray(channels[single[0]].pixels, np.float32)
