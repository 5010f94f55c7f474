"""The console that everything is printed on, and durations, sizes and settings in words."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console

console = Console()
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 120  # logs have no edge to fold at


def duration(seconds: float | None) -> str:
    """Seconds for people; a dash where there is nothing to estimate from."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: int | None) -> str:
    """Bytes for people."""
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def json_text(value: Any) -> str:
    """A setting's value on one line."""
    if not isinstance(value, dict):
        return str(value)
    told = ((key, f"({json_text(inner)})" if isinstance(inner, dict) else inner) for key, inner in value.items())
    return ", ".join(f"{key} {inner}" for key, inner in told)
