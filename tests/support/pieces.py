"""Tables, pictures and words with everything in them that may break whoever prints them."""

import numpy as np

from tasks.pages.charts import histogram
from tasks.pages.encoded import chart, encoded
from tasks.stage.tables import Column, Picture, Piece, Table, Words, pictures

EVIL = "<script>alert('x')</script> | [bold]no[/] `code`\n*second* line"
LONG = "panorama " * 400
COLUMNS = (Column("name", text=True), Column("value", ".3f"), Column("share", ".1%", bar=True), Column("a | b <i>"))
ROWS = (
    (EVIL, 0.12345, 0.25, "0.100 – 0.200"),
    ("none", None, None, None),
    ("no number", float("nan"), float("inf"), ""),
    (LONG, -1, 7.0, "x"),
    ("Ünïcödé 全景 \N{GRINNING FACE}", 10**9, -0.5, "\x1b[31mred"),
)
TABLE = Table("worst", "Title " + EVIL, COLUMNS, ROWS, "Note " + EVIL)
WORDS = Words("place", "Place " + EVIL, "text " + EVIL, link="javascript:alert(1)", marks=((EVIL, "#102030"),))


def drawn() -> list[Picture]:
    """One picture and one chart."""
    picture = np.full((500, 1000, 3), (200, 30, 60), np.uint8)
    return [*encoded({EVIL: picture}), chart("chart " + EVIL, histogram([0.5, 0.7], 0.6))]


def pieces() -> list[Piece]:
    """One of each kind, and details."""
    table = Table("detail", "Detail", COLUMNS, ROWS[1:2], detail=True)
    return [TABLE, WORDS, table, Words("more", "More", "in detail", detail=True), pictures("seen", "Seen " + EVIL, drawn)]
