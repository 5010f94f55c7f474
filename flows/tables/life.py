"""What became of panoramas, and which were forgotten, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from flows.stores.life import life_rows
from flows.text import console, size


def print_life(told: Sequence[Mapping[str, Any]]) -> None:
    """A line for each kind of change of each source, with the first names; nothing where all is as it was."""
    for source in told:
        for word, count, names in life_rows(source):
            console.print(f"{source['source']}: [yellow]{count} {word}[/]: {escape(names)}", soft_wrap=True)


def print_forgotten(found: Mapping[str, Any]) -> None:
    """What was forgotten and what went with it, what learned from it, and what is to be typed yet."""
    for one in found["forgotten"]:
        told = f"{one['item']} by {one['by']} at {one['at']}: {one['because']}"
        console.print(f"[yellow]forgotten[/] {escape(told)}", soft_wrap=True)
    kept = f"; the rows of other panoramas in {found['kept']} of them are kept" if found["kept"] else ""
    console.print(f"removed {found['blocks']} blocks, {size(found['bytes'])}{kept}", soft_wrap=True)
    for version in found["published"]:
        console.print(f"published {escape(version)}: its labels are zero now, valid is false", soft_wrap=True)
    for one in found["made_with"]:
        told = f"{one['stage']}/{one['fingerprint']}/{one['block']}, run {one['run']}"
        console.print(f"[yellow]made with it[/] and owed again: {escape(told)}", soft_wrap=True)
    for one in found["left"]:
        console.print(f"[red]not removed[/] from {one['name']}.icechunk, which keeps its history. While nobody publishes, type:")
        for typed in one["type"]:
            console.print(f"  {escape(typed)}", soft_wrap=True, highlight=False)
