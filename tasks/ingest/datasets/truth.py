"""Files of truth as arrays, in panolabel's units and frame, with validity as arrays of its own."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Arrays = dict[str, NDArray]

DPT_TAG = 202021.25
MOST_PIXELS = 160_000_000
"""A 16k panorama has 134 million; what says that it has more is damaged, or made to exhaust memory."""
FORMATS = ("PNG", "JPEG", "TIFF")
SHORTEST_NORMAL = 0.5
"""Stored vectors below this length mean that there is no normal; those of 8 bits have 0.98 or more."""
DIRECTIONS = {
    "right": (1, 0, 0),
    "left": (-1, 0, 0),
    "down": (0, 1, 0),
    "up": (0, -1, 0),
    "forward": (0, 0, 1),
    "back": (0, 0, -1),
}
"""What an axis of a stored vector may point to, as seen from the centre of the panorama, in our world frame."""


class Found:
    """The files of truth of one panorama. Reading one that is missing or damaged is a ValueError that names it."""

    def __init__(self, files: Mapping[str, bytes], urls: Mapping[str, str]) -> None:
        self._files, self._urls = files, urls

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def bytes_of(self, name: str) -> bytes:
        """The bytes of a file."""
        if name not in self._files:
            raise ValueError(f"{self._urls[name]} is missing, without which {', '.join(sorted(self._files))} cannot be used")
        return self._files[name]

    def dpt(self, name: str) -> NDArray[np.float32]:
        """:func:`read_dpt` of a file: (H, W) float32."""
        return self._read(name, read_dpt)

    def pixels(self, name: str, channels: int = 1) -> NDArray:
        """:func:`read_pixels` of a file: (H, W), or (H, W, 3) for three ``channels``, of its own integer dtype."""
        return self._read(name, read_pixels, channels)

    def array(self, name: str) -> NDArray:
        """:func:`read_array` of a file."""
        return self._read(name, read_array)

    def is_array(self, name: str) -> bool:
        """Whether a file is one of NumPy's."""
        return self.bytes_of(name).startswith((b"\x93NUMPY", b"PK\x03\x04"))

    def _read(self, name: str, reader: Callable[..., NDArray], *arguments: int) -> NDArray:
        data = self.bytes_of(name)
        try:
            return reader(data, *arguments)
        except UnidentifiedImageError as error:
            raise ValueError(f"{self._urls[name]}: is no {', '.join(FORMATS)}") from error
        except Exception as error:  # image libraries, zipfile and NumPy's parser of headers have many of their own
            raise ValueError(f"{self._urls[name]}: {str(error)[:300] or type(error).__name__}") from error


def read_dpt(data: bytes) -> NDArray[np.float32]:
    """The (H, W) float32 array of a ``.dpt`` file: float32 202021.25, int32 width, int32 height, values; little-endian."""
    if len(data) < 12:
        raise ValueError("the .dpt file is shorter than its header")
    tag, width, height = struct.unpack("<fii", data[:12])
    if tag != DPT_TAG:
        raise ValueError(f"the .dpt file starts with {tag:g}, not {DPT_TAG}")
    if width < 1 or height < 1 or len(data) != 12 + 4 * width * height:
        raise ValueError(f"the .dpt file says {width}x{height} and has {len(data) - 12} bytes of values")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width).astype(np.float32)


def read_pixels(data: bytes, channels: int) -> NDArray:
    """Pixels of a PNG, JPEG or TIFF as they are stored: (H, W) for one channel (a palette's are indices), else (H, W, 3).

    The dtype is that of the file, uint8 or bool; uint16 for 16 bits.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"the image says that it has {image.width}x{image.height} pixels")
        pixels = np.asarray(image)
    if channels == 3 and pixels.ndim == 3:
        return pixels[..., :3]
    if channels == 1 and pixels.ndim == 2:
        return pixels.astype(np.uint16) if pixels.dtype == np.int32 else pixels
    raise ValueError(f"the image has the shape {pixels.shape}, not {channels} channel(s)")


def read_array(data: bytes) -> NDArray:
    """The array of a ``.npy`` file, or the only one of a ``.npz`` file; pickles are refused."""
    loaded = np.load(io.BytesIO(data), allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        if len(loaded.files) != 1:
            raise ValueError(f"the .npz file holds {loaded.files}, not one array")
        return loaded[loaded.files[0]]


def depth_arrays(metres: NDArray, valid: NDArray[np.bool_]) -> Arrays:
    """``depth`` (H, W) float32, radial distance in metres and 0 where there is none, and ``depth_valid``."""
    valid = valid & np.isfinite(metres) & (metres > 0)
    return {"depth": np.where(valid, metres, 0).astype(np.float32), "depth_valid": valid}


def normal_arrays(vectors: NDArray, axes: tuple[str, str, str]) -> Arrays:
    """``normals`` (H, W, 3) float32, unit and in the world frame, and ``normals_valid``.

    Parameters
    ----------
    vectors : (H, W, 3)
        As they are stored, any length; those shorter than :data:`SHORTEST_NORMAL` or not finite mean that there is none.
    axes : three keys of :data:`DIRECTIONS`
        What the stored components point to.
    """
    world = np.nan_to_num(vectors.astype(np.float32), posinf=0, neginf=0) @ np.array(
        [DIRECTIONS[axis] for axis in axes], np.float32
    )
    length = np.linalg.norm(world, axis=-1)
    valid = (length > SHORTEST_NORMAL) & np.isfinite(vectors).all(axis=-1)
    return {"normals": np.where(valid[..., None], world / np.maximum(length, 1e-6)[..., None], 0), "normals_valid": valid}


def class_arrays(labels: NDArray[np.integer], known: NDArray[np.integer]) -> Arrays:
    """``semantics`` (H, W) uint8, index of the class, and ``semantics_valid``.

    Parameters
    ----------
    labels : (H, W)
        As they are stored.
    known : (labels,)
        Class of every stored label, -1 for those that do not count; labels beyond it do not count either.
    """
    inside = (labels >= 0) & (labels < len(known))
    classes = np.where(inside, known[np.where(inside, labels, 0)], -1)
    return {"semantics": np.maximum(classes, 0).astype(np.uint8), "semantics_valid": classes >= 0}
