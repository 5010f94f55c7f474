"""A training's plan and outcome for a terminal."""

from __future__ import annotations

import shlex
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from flows.tables.run import console, duration, print_command
from flows.tables.shown import print_sentences, print_tables
from tasks.stage.tables import from_json


def training_table(plan: dict[str, Any]) -> Table:
    """State, steps, labels and reasons of a training's plan."""
    table = Table(title="Training", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in ("state", "steps done", "panoramas"):
        table.add_column(name, no_wrap=True)
    table.add_column("labels", overflow="fold")
    table.add_column("why", overflow="fold")
    labels = "\n".join(
        f"{one['name']} {one['fingerprint'][:8]}: {one['panoramas']} x {one['weight']:g}" for one in plan["labels"]
    )
    colour = "green" if plan["state"] == "finished" else "yellow"
    why = escape("\n".join(plan["reasons"])) or "[dim]nothing changed[/]"
    state, steps = f"[{colour}]{plan['state']}[/]", f"{plan['step']} of {plan['steps']}"
    table.add_row(state, steps, str(plan["panoramas"]), escape(labels), why)
    return table


def print_student(outcome: dict[str, Any]) -> None:
    """Where a finished student lies, how well it copies its labels, and what made it; nothing if there is none yet."""
    if "model" not in outcome:
        return
    shown = [from_json(piece) for piece in outcome["shown"]]
    print_tables(console, shown)
    print_sentences(console, shown)
    made = outcome["made"]
    console.print(
        f"Made:    run {made['run']} on {made['device']}, {outcome['steps']} steps, {duration(made['seconds'])}", soft_wrap=True
    )
    console.print(f"Weights: sha256 {outcome['weights']}, {outcome['parameters']:,} parameters", soft_wrap=True)
    for item, reason in list(outcome["skipped"].items())[:10]:
        console.print(f"[yellow]skipped[/] {escape(item)}: {escape(reason)}", soft_wrap=True)
    console.print(f"Page:    {outcome['page']}", soft_wrap=True)
    console.print(f"Student: {outcome['model']}", soft_wrap=True)
    seen = outcome["labels"][0]
    words = ["panolabel", "predict", outcome["model"], "--source", seen["source"], "--root", f"{seen['root']}-predicted"]
    print_command("Predict: ", shlex.join(words))
