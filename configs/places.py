"""Files, folders and URLs in a config: relative ones start at the folder of the file that names them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, ValidationInfo

from storage.credentials import mask_credentials


class Place(str):
    """Where something lies, as this process finds it; ``written`` is what the config says, and what is written down of it."""

    written: str

    def __new__(cls, found: str, written: str) -> Place:
        place = super().__new__(cls, found)
        place.written = written
        return place

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return str(self), self.written


def is_relative(text: str) -> bool:
    """Whether a place depends on where one is: no URL, no absolute path, nothing of a home folder."""
    return "://" not in text and not text.startswith(("/", "~"))


def seen_from(folder: str, text: str) -> str:
    """A path of the working directory as a file in ``folder`` would have to name it; all else as it is."""
    if not folder or not text.strip() or not is_relative(text):
        return text
    return Path(os.path.relpath(text, folder)).as_posix()


def path_from(folder: str, text: str) -> str:
    """:func:`seen_from` where a word could mean something else too, such as a stage: told by ``./`` or ``../`` to be a path."""
    seen = seen_from(folder, text)
    return seen if not is_relative(seen) or seen.startswith(("./", "../")) else f"./{seen}"


def placed(folder: str, text: str) -> Place:
    """A place that a config in ``folder`` names; without a folder relative ones start at the working directory."""
    if isinstance(text, Place):
        return text
    found = os.path.normpath(os.path.join(folder, text)) if folder and is_relative(text) else text
    return Place(found, text)


def _placed(text: str, info: ValidationInfo) -> Place:
    if not text.strip():
        # What a shell makes of a variable that is not set would be the folder in which one happens to be.
        raise ValueError("is empty; name a folder, a file or a URL (`.` is the folder that you are in)")
    folder = (info.context or {}).get("folder") or (info.data or {}).get("folder") or ""
    return placed(folder, text)


def _written(place: Any) -> str:
    return mask_credentials(getattr(place, "written", place))


PLACE = AfterValidator(_placed)
"""Marks a field that names a place; its value is a :class:`Place`."""
PlaceField = Annotated[str, PLACE, PlainSerializer(_written, return_type=str)]
"""A file, a folder or a URL: resolved and in full within the program, as written and masked wherever it is written down."""


def with_paths(value: Any, change: Callable[[str], str]) -> Any:
    """Plain values with every text in them changed that begins with ``./`` or ``../``."""
    if isinstance(value, dict):
        return {key: with_paths(inner, change) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_paths(inner, change) for inner in value]
    return change(value) if isinstance(value, str) and value.startswith(("./", "../")) else value


def _with_places(values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    folder = (info.context or {}).get("folder") or ""
    found: dict[str, Any] = with_paths(values, partial(placed, folder))
    return found


WITH_PLACES = AfterValidator(_with_places)
"""Marks plain settings in which texts that begin with ``./`` or ``../`` name files, as the config's own file sees them."""
