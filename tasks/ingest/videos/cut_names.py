"""Names of what is taken of videos: ``<video>/<milliseconds>`` for a clip, ``<clip>/<milliseconds>`` for a frame."""

from __future__ import annotations

from storage.items import Item

VIDEO = "video"
"""Metadata of a clip that was cut, and of its frames: the item that is its video."""


def below(name: str, nanoseconds: int) -> str:
    """The name of what begins so long after the first frame of the item of that name."""
    return f"{name}/{nanoseconds // 1_000_000:07d}"


def name_in_video(item: Item) -> str:
    """The name that a frame of a clip would have if its video were not cut; that of anything else is its own."""
    video = f"{item.metadata.get(VIDEO)}/"
    start, _, time = item.item.removeprefix(video).partition("/")
    if not (item.item.startswith(video) and start.isdecimal() and time.isdecimal()):
        return item.item
    return below(video[:-1], (int(start) + int(time)) * 1_000_000)
