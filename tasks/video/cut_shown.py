"""What ``cut`` found: how many clips of how many videos, and what was left out for which reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from storage.rows import ItemRow
from tasks.stage.made import Made
from tasks.stage.tables import Column, Piece, Table
from tasks.video.clip_block import CLIPS
from tasks.video.cut import LEFT_OUT, SHOTS

MOST_VIDEOS = 20


def summary(made: Made) -> dict[str, Any]:
    """Counts of videos, shots and clips, and by reason the seconds that are left out."""
    rows = list(_cut(made))
    return {
        "videos": len(rows),
        "shots": sum(len(row.figures[SHOTS]) for row in rows),
        "clips": sum(len(row.figures[CLIPS]) for row in rows),
        "left_out_seconds": {reason: round(found[1], 3) for reason, found in _left_out(rows).items()},
    }


def show(made: Made) -> list[Piece]:
    """A table of what is left out, if anything is, and one of the videos."""
    rows = list(_cut(made))
    counts = summary(made)
    title = f"{counts['clips']} clips of {counts['shots']} shots in {counts['videos']} videos"
    columns = (Column("video", text=True), Column("shots"), Column("clips"), Column("seconds left out", ".1f"))
    told = [(row.item, len(row.figures[SHOTS]), len(row.figures[CLIPS]), _seconds(row)) for row in rows]
    left_out = tuple((reason, parts, seconds) for reason, (parts, seconds) in _left_out(rows).items())
    heads = (Column("left out of videos with clips", text=True), Column("parts"), Column("seconds", ".1f"))
    tables: list[Piece] = [Table("cut", title, columns, tuple(sorted(told, key=lambda row: -row[3])[:MOST_VIDEOS]))]
    return [*tables, *[Table("left_out", "Left out", heads, left_out)] * bool(left_out)]


def _cut(made: Made) -> Iterator[ItemRow]:
    return (row for row in made.rows() if row.state == "done")


def _seconds(row: ItemRow) -> float:
    return float(sum(one["seconds"] for one in row.figures[LEFT_OUT].values()))


def _left_out(rows: list[ItemRow]) -> dict[str, tuple[int, float]]:
    """By reason the parts and their seconds, the longest first."""
    found: dict[str, tuple[int, float]] = {}
    for row in rows:
        for reason, one in row.figures[LEFT_OUT].items():
            parts, seconds = found.get(reason, (0, 0.0))
            found[reason] = (parts + one["parts"], seconds + one["seconds"])
    return dict(sorted(found.items(), key=lambda one: -one[1][1]))
