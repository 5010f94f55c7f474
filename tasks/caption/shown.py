"""What ``caption`` wrote: short captions of a few clips, and what they took."""

from __future__ import annotations

from typing import Any

from tasks.stage.made import Made
from tasks.stage.tables import Column, Piece, Table
from tasks.video.captions import Captions

MOST = 20
SPENT = ("answers", "tries", "tokens_in", "tokens_out", "cost")
"""Figures of clips that are summed."""


def summary(made: Made) -> dict[str, Any]:
    """Counts of clips, and of answers and tokens where a model was asked."""
    rows = [row for _, _, _, row in made.done()]
    spent = {name: sum(row.figures[name] for row in rows if name in row.figures) for name in SPENT}
    return {"clips": len(rows), **(spent if spent["answers"] else {})}


def show(made: Made) -> list[Piece]:
    """A table of short captions."""
    told = [(row.item, _shortest(Captions.of(row.figures))) for _, _, _, row in made.done()]
    counts = summary(made)
    note = "{answers} answers: {tokens_in} tokens read, {tokens_out} written; cost {cost:.4f}" if "answers" in counts else ""
    title = f"Captions of {counts['clips']} clips, by {made.settings.kind}"
    columns = (Column("clip", text=True), Column("caption", text=True))
    return [Table("captions", title, columns, tuple(told[:MOST]), note.format(**counts))] if told else []


def _shortest(captions: Captions) -> str:
    return min(captions.texts.values(), key=len)
