"""What was tried, and how it differs from what is stored, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from flows.text import console
from tasks.stage.tables import NOTHING

MOST_FIGURES = 20


def print_tried(tried: Mapping[str, Any]) -> None:
    """One item."""
    _print_head(tried)
    if tried["difference"] is not None:
        _print_difference(tried["difference"])
    if tried["picture"]:
        console.print(f"picture: {escape(tried['picture'])}", soft_wrap=True)


def print_golden(compared: Mapping[str, Any]) -> None:
    """Some items that were made again."""
    stage, same, count = compared["stage"], compared["same"], compared["compared"]
    console.print(f"{escape(stage)} {compared['fingerprint']}: {same} of {count} made again are the same to the last bit")
    for one in compared["differ"]:
        console.print()
        _print_head(one)
        _print_difference(one["difference"])


def _print_head(tried: Mapping[str, Any]) -> None:
    console.print(f"[bold]{escape(tried['item'])}[/] {escape(tried['stage'])} {tried['tried']['fingerprint']}", soft_wrap=True)
    if tried["reason"]:
        console.print(f"[yellow]{tried['state']}:[/] {escape(tried['reason'])}", soft_wrap=True)
    stored, now = tried["stored"], tried["tried"]
    if stored is None:
        console.print("nothing is stored of it")
        return
    console.print(escape(f"stored: {stored['fingerprint']}, block {stored['block']}, run {stored['run']}"), soft_wrap=True)
    told = [
        *stored["changes"],
        *(f"{name}: {stored[name]} -> {now[name]}" for name in ("code", "device") if stored[name] != now[name]),
    ]
    before, after = stored["versions"] or {}, now["versions"] or {}
    told += [f"{name}: {before.get(name)} -> {after.get(name)}" for name in after if before.get(name) != after.get(name)]
    for line in told:
        console.print(escape(f"  {line}"), soft_wrap=True)


def _print_difference(difference: Mapping[str, Any]) -> None:
    if difference["same"]:
        console.print("[green]the same to the last bit[/]")
        return
    arrays, figures = difference["arrays"], difference["figures"]
    _print_table(
        ("array", "largest difference", "pixels that differ", ""),
        [(one["name"], _told(one["maximum"], ".4g"), _told(one["share"], ".2%"), one["form"]) for one in arrays],
    )
    shares = [(one["name"], f"{one['before']:.2%}", f"{one['after']:.2%}") for array in arrays for one in array["classes"]]
    _print_table(("class", "share before", "after"), shares)
    _print_table(("figure", "before", "after"), [(one["name"], _told(one["before"]), _told(one["after"])) for one in figures])
    _print_table(
        ("said of it", "before", "after"), [(name, *map(_told, said.values())) for name, said in difference["about"].items()]
    )


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows[:MOST_FIGURES]:
        table.add_row(*map(escape, row))
    console.print(table)
    if len(rows) > MOST_FIGURES:
        console.print(f"and {len(rows) - MOST_FIGURES} more; --json tells all")


def _told(value: Any, form: str = "") -> str:
    return NOTHING if value is None else format(value, form) if isinstance(value, float) and form else str(value)
