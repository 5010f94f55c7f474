"""An audit for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.invocation import command
from flows.tables.run import print_command
from flows.tables.shown import print_sentences, print_tables
from flows.text import console
from tasks.stage.tables import from_json


def print_audit(found: Mapping[str, Any]) -> None:
    """The parts of each error, how far views agree, and the panoramas to look at."""
    if not found:
        console.print("[yellow]No panorama could be audited[/]: all were given up")
        print_command("See why: ", command("failures list"))
        return
    shown = [from_json(piece) for piece in found["shown"]]
    print_tables(console, shown)
    print_sentences(console, shown)
    console.print(f"\nPage: {found['page']}", soft_wrap=True)
