"""The scene that a kind and a seed stand for."""

from __future__ import annotations

from scenes.rooms import build_room
from scenes.streets import build_street
from scenes.world import Scene

BUILDERS = {"room": build_room, "street": build_street}


def build_scene(kind: str, seed: int) -> Scene:
    """The scene of a kind, ``room`` or ``street``, that a seed stands for.

    Raises
    ------
    ValueError
        Unknown kind.
    """
    if kind not in BUILDERS:
        raise ValueError(f"scene kind {kind!r} is not known; use one of {', '.join(BUILDERS)}")
    return BUILDERS[kind](seed)
