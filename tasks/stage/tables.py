"""What a stage found, as tables, pictures and words: nothing here knows a terminal, Prefect or HTML, which print them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, TypeAlias

from tasks.stage.job import BadItem

Value: TypeAlias = str | int | float | None
NOTHING = "–"
"""Stands where there is no figure."""
SVG = "image/svg+xml"
NO_PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="32"></svg>'


@dataclass(frozen=True)
class Column:
    """What stands below a heading.

    ``form`` is how numbers are written, as :func:`format` has it (``.3f``, ``+.4f``, ``.1%``); ``text`` says that here are words,
    which begin at the left and may be long; ``bar`` that here are shares of 1, which a page may draw.
    """

    name: str
    form: str = ""
    text: bool = False
    bar: bool = False


@dataclass(frozen=True)
class Table:
    """Rows below columns.

    ``name`` is a slug of its own within the stage, such as ``worst``. ``detail``: for whoever reads on; a terminal leaves it to
    the page. ``cards``: every row is a name, a value and what to say of it, which a page may show as a card.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""
    detail: bool = False
    cards: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.name}: a row of {len(row)} values below {len(self.columns)} columns: {row}")

    def told(self) -> list[list[str]]:
        """The rows as text."""
        return [[told(value, column.form) for value, column in zip(row, self.columns)] for row in self.rows]


@dataclass(frozen=True)
class Picture:
    """A picture that is drawn: WebP, PNG, or SVG text of this project's own charts."""

    caption: str
    data: bytes
    media: str = "image/webp"


@dataclass(frozen=True)
class Pictures:
    """Pictures that belong together, such as all that are of one panorama.

    ``draw`` may take long, and is called when they are shown; see :func:`pictures`. ``detail``: only a page shows them.
    """

    name: str
    title: str
    draw: Callable[[], Sequence[Picture]]
    note: str = ""
    detail: bool = False


@dataclass(frozen=True)
class Words:
    """A sentence, or a place to look at. ``link`` is a URL or path, and ``marks`` say which colour (``#rrggbb``) means what."""

    name: str
    title: str
    text: str
    link: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    detail: bool = False


Piece: TypeAlias = Table | Pictures | Words


def told(value: Value, form: str = "") -> str:
    """A value as text; a dash where it is None or no number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    return value if isinstance(value, str) else format(value, form)


def interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    """The ends of an interval as text; a dash where there is none."""
    return NOTHING if low is None and high is None else f"{told(low, form)} – {told(high, form)}"


def pictures(name: str, title: str, draw: Callable[[], Sequence[Picture]], note: str = "", detail: bool = False) -> Pictures:
    """:class:`Pictures` that are drawn once, however many show them.

    ``draw`` may raise BadItem, of a panorama that is gone by now, say: the reason then stands in the pictures' place.
    """

    def drawn() -> Sequence[Picture]:
        try:
            return draw()
        except BadItem as error:
            return [Picture(f"no picture: {error}", NO_PICTURE, SVG)]

    return Pictures(name, title, cache(drawn), note, detail)


def as_json(piece: Table | Words) -> dict[str, Any]:
    """A table or words as JSON values, for a run's record."""
    plain = piece
    if isinstance(piece, Table):
        plain = replace(piece, rows=tuple(tuple(map(_finite, row)) for row in piece.rows))
    return {"kind": type(piece).__name__.lower(), **asdict(plain)}


def from_json(data: Mapping[str, Any]) -> Table | Words:
    """What :func:`as_json` wrote."""
    values = {name: value for name, value in data.items() if name != "kind"}
    if data["kind"] == "words":
        return Words(**{**values, "marks": tuple((name, colour) for name, colour in values["marks"])})
    columns = tuple(Column(**column) for column in values["columns"])
    return Table(**{**values, "columns": columns, "rows": tuple(map(tuple, values["rows"]))})


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value
