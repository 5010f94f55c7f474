"""What ``register`` found: clips by split."""

from __future__ import annotations

from typing import Any

from tasks.stage.made import Made
from tasks.stage.tables import Column, Piece, Table


def summary(made: Made) -> dict[str, Any]:
    """Counts of clips, of all and by split."""
    return {name: row.figures[name] for row in made.rows() for name in ("clips", "splits") if row.state == "done"}


def show(made: Made) -> list[Piece]:
    """A table of the splits."""
    splits = summary(made).get("splits", {})
    return [Table("splits", "Clips by split", (Column("split", text=True), Column("clips")), tuple(splits.items()))]
