"""What a trained seamless network shows: its five figures on the validation images, and where it lies."""

from __future__ import annotations

from typing import Any

from storage.urls import join, location
from tasks.stage.made import Made
from tasks.stage.models import MODEL
from tasks.stage.tables import Column, Piece, Table, Words

NOT_FIGURES = ("steps", "images", "instance_score", "amodal_score", "least_stuff")


def shows(made: Made) -> list[Piece]:
    """Figures, if there were images to measure on, and the model's folder."""
    figures = made.receipts[0].items[0].figures
    rows = tuple((name, value) for name, value in figures.items() if name not in NOT_FIGURES)
    note = f"On {figures.get('images')} images; least scores {figures.get('instance_score')} and {figures.get('amodal_score')}."
    table = [Table("figures", "Figures", (Column("figure", text=True), Column("value", ".4f")), rows, note)] if rows else []
    return [*table, Words("model", "Model", summary(made)["model"])]


def summary(made: Made) -> dict[str, Any]:
    """``model``: its folder; and its figures."""
    return {"model": location(join(made.blocks[0][0], MODEL)), "figures": dict(made.receipts[0].items[0].figures)}
