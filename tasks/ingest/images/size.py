"""What is refused about an image file, and the bounds on its size, which are looked at before anything is decoded."""

from __future__ import annotations

from tasks.ingest.settings import Ingest


class BadImage(ValueError):
    """The file is not a panorama that can be used; the message is the reason for its quarantine."""


def check_area(width: int, height: int, settings: Ingest, what: str = "") -> None:
    """Refuse what has no pixels, or more of them than ``ingest.max_megapixels``; ``what`` says of which part of the file."""
    if width < 1 or height < 1:
        raise BadImage(f"cannot be decoded: the header says {width}x{height} pixels")
    if width * height > settings.max_megapixels * 1e6:
        raise BadImage(
            f"{what}{width}x{height} pixels are more than ingest.max_megapixels = {settings.max_megapixels:g}; "
            "raise it if the file is what it says"
        )


def check_size(width: int, height: int, settings: Ingest) -> None:
    """Refuse what is too large, or narrower than ``ingest.min_width``."""
    check_area(width, height, settings)
    if width < settings.min_width:
        raise BadImage(f"{width} pixels wide, less than ingest.min_width = {settings.min_width}")
