"""An audit as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from flows.invocation import command
from flows.tables.run import print_command
from flows.text import console
from tasks.evaluate.summary import NAMES


def print_audit(found: Mapping[str, Any]) -> None:
    """The parts of each error, how far views agree, and the panoramas to look at."""
    if not found:
        console.print("[yellow]No panorama could be audited[/]: all were given up")
        print_command("See why: ", command("failures list"))
        return
    if found["attribution"]:
        console.print(_attribution(found))
    else:
        console.print("No ground truth (source.truth): only what views say of each other.")
    console.print(_agreement(found))
    for row in found["worst"]:
        console.print(f"[yellow]look at[/] {escape(row['item'])}: {escape('; '.join(row['reasons']))}", soft_wrap=True)
    console.print(f"\nPage: {found['page']}", soft_wrap=True)


def _attribution(found: Mapping[str, Any]) -> Table:
    title = f"Where the error comes from: {found['with_truth']} of {found['items']} panoramas with truth"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("error")
    for name in ("floor", "teacher", "way back", "fusion", "fused", "95 % interval"):
        table.add_column(name, justify="right")
    for figure, parts in found["attribution"].items():
        total = parts["total"]
        values = [f"{parts[part]['value']:+.4f}" for part in ("floor", "teacher", "way_back", "fusion")]
        table.add_row(NAMES[figure], *values, f"{total['value']:.4f}", _interval(total))
    return table


def _agreement(found: Mapping[str, Any]) -> Table:
    table = Table(title="Agreement of views", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in ("task", "all", "95 % interval", "worst band"):
        table.add_column(name, justify="left" if name in ("task", "worst band") else "right")
    for task, splits in found["agreement"].items():
        whole = splits["all"][0]
        rows = [(row["value"], split, row["band"]) for split, bands in splits.items() if split != "all" for row in bands]
        least = min(rows, default=None)
        told = f"{least[0]:.3f} at {least[1].replace('_', ' ')} {least[2]}" if least else ""
        table.add_row(task, f"{whole['value']:.3f}", _interval(whole), escape(told))
    return table


def _interval(row: Mapping[str, Any]) -> str:
    return "–" if row["low"] is None else f"{row['low']:.4f} – {row['high']:.4f}"
