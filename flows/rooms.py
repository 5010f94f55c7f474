"""Whether the packages that panolabel imports under its plain names are its own.

Names like ``models`` and ``storage`` are common: a folder of that name where the user stands, or another distribution earlier on
the path, takes the place of ours, and all that one sees is that some module of it is missing.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("configs", "flows", "geometry", "metrics", "models", "scenes", "storage", "tasks")
HOME = Path(__file__).resolve().parents[1]


class ForeignPackage(ImportError):
    """A package of somebody else has the name of one of ours; the message says where it lies and what to do."""


def refuse_foreign_packages() -> None:
    """Look where every room would be imported from.

    A mere folder gives way to a package anywhere on the path, but an editable installation is looked at after all of the path: so
    ours is put there. Dask's workers, which inherit it, have a folder ``storage`` in the place where they start.

    Raises
    ------
    ForeignPackage
        It is not beside this one.
    """
    if str(HOME) not in sys.path:
        sys.path.append(str(HOME))
    for room in ROOMS:
        spec = find_spec(room)
        places = (
            [] if spec is None else [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or ""]]
        )
        if HOME / room not in places[:1]:
            raise ForeignPackage(message(room, places[0] if places else None))


def message(room: str, place: Path | None) -> str:
    """One line that says which package is in the way, and how to get it out of there."""
    if place is None:
        return f"panolabel's package `{room}` is missing beside {HOME / 'flows'}: install panolabel again"
    return (
        f"`{room}` at {place} is imported in the place of panolabel's own at {HOME / room}: start from a folder without it, "
        f"take {place.parent} off PYTHONPATH, or give panolabel an environment of its own"
    )
