"""Where the pixels of a file lie on the sphere: in a frame of the whole of it, which is 2:1.

The source's metadata may state a band around the horizon (tasks/ingest/images/bands.py). A file itself may say more (XMP, the
windows of an EXR): any upright rectangle of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.ingest.images.size import BadImage, check_area, check_size
from tasks.ingest.settings import Ingest


@dataclass(frozen=True)
class Place:
    """Size of the frame of the whole sphere, and the pixel of it where the upper left corner of a picture lies.

    ``around``: what lies beyond the right edge goes on at the left one, as on the sphere.
    """

    width: int
    height: int
    left: int = 0
    top: int = 0
    around: bool = False

    def fill(self, picture: NDArray) -> NDArray:
        """The frame (height, width, ...) with a picture (h, w, ...) of the same dtype in its place, 0 (or False) elsewhere.

        What of the picture lies outside the frame is cut off, unless it goes ``around``; a picture that is the frame is returned
        as it is.
        """
        if self.around and self.left:
            return np.roll(replace(self, left=0).fill(picture), self.left, axis=1)
        rows, columns = picture.shape[:2]
        if (self.left, self.top, columns, rows) == (0, 0, self.width, self.height):
            return picture
        frame = np.zeros((self.height, self.width, *picture.shape[2:]), picture.dtype)
        above, before = max(0, -self.top), max(0, -self.left)
        kept = picture[above : max(0, self.height - self.top), before : max(0, self.width - self.left)]
        top, left = max(0, self.top), max(0, self.left)
        frame[top : top + kept.shape[0], left : left + kept.shape[1]] = kept
        return frame


def band(width: int, height: int, degrees: float = 180.0) -> Place:
    """The place of a picture that is 360 degrees wide and ``degrees`` high around the horizon."""
    missing = max(0, width // 2 - height) if degrees < 180 else 0
    return Place(width, height + missing, 0, missing // 2)


def settle_place(width: int, height: int, stated: Place | None, degrees: float, settings: Ingest) -> Place:
    """The place of a picture, from what its file says (``stated``) and what the source's metadata does (``degrees``).

    The file's own word counts. Both at once must agree on the height of the view, since one of them is wrong otherwise.

    Raises
    ------
    BadImage
        They contradict each other, or the whole is not 2:1 or larger than ``ingest.max_megapixels``.
    """
    if stated is None:
        check_size(width, height, settings)
        if _off(width / height * degrees / 360) > settings.aspect_tolerance:
            shape = "2:1" if degrees == 180 else f"360:{degrees:g}"
            raise BadImage(f"{width}x{height} is not {shape} within ingest.aspect_tolerance = {settings.aspect_tolerance:g}")
        return band(width, height, degrees)
    check_area(stated.width, stated.height, settings, "the whole sphere of ")
    check_size(stated.width, stated.height, settings)
    if _off(stated.width / stated.height / 2) > settings.aspect_tolerance:
        raise BadImage(
            f"the file says that it is a part of a whole of {stated.width}x{stated.height}, which is not 2:1 within "
            f"ingest.aspect_tolerance = {settings.aspect_tolerance:g}"
        )
    seen = 180 * height / stated.height
    if degrees != 180 and _off(seen / degrees) > settings.aspect_tolerance:
        raise BadImage(
            f"the file says that it shows {seen:.4g} degrees from top to bottom, and the source's metadata says "
            f"vertical_degrees = {degrees:g}; correct the one that is wrong"
        )
    return stated


def _off(ratio: float) -> float:
    return abs(ratio - 1)
