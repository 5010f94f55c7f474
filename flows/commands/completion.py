"""What a shell completes: config files, names of panoramas, names of stages. Reads a few small files, imports next to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import typer

MOST_NAMES = 200
MOST_RECEIPTS = 100
"""A key press must be answered at once, however large the store is."""


def complete_config(incomplete: str) -> list[str]:
    """YAML files, and folders on the way to them."""
    folder, _, start = incomplete.rpartition("/")
    base = Path(f"{folder}/" if "/" in incomplete else ".").expanduser()
    try:
        found = sorted(path for path in base.iterdir() if path.name.startswith(start) and not path.name.startswith("."))
        names = [f"{path.name}/" if path.is_dir() else path.name for path in found]
    except OSError:
        return []
    prefix = f"{folder}/" if "/" in incomplete else ""
    return [prefix + name for name in names if name.endswith(("/", ".yaml", ".yml"))][:MOST_NAMES]


def complete_item(context: typer.Context, incomplete: str) -> list[str]:
    """Panoramas of which stages in a store on a local disk have made something."""
    names = (name for name in _items(_values(context)) if name.startswith(incomplete))
    return list(islice(dict.fromkeys(names), MOST_NAMES))


def complete_stage(context: typer.Context, incomplete: str) -> list[str]:
    """The stages of the config that stands on the command line."""
    stages = _values(context).get("stages")
    keys = [key for one in stages if isinstance(one, dict) for key in one] if isinstance(stages, list) else stages
    return [key for key in keys or () if isinstance(key, str) and key.startswith(incomplete)]


def _values(context: typer.Context) -> dict[str, Any]:
    """The config's values, unchecked; none where they cannot be read: a completion never complains."""
    from configs.plain_yaml import MOST_BYTES, parse_yaml

    try:
        with Path(_config(context)).open("rb") as file:
            values = parse_yaml(file.read(MOST_BYTES))
    except Exception:  # whatever is wrong will be told when the command runs
        return {}
    values = values if isinstance(values, dict) else {}
    root, here = context.params.get("root"), Path(_config(context)).expanduser().parent
    own = values.get("root")
    return {**values, "root": root or (str(here / own) if isinstance(own, str) and "://" not in own else own)}


def _config(context: typer.Context) -> str:
    """The config's path. An option that still lacks its value stops the parser, which then leaves the arguments as words."""
    return str(context.params.get("config") or next(word for word in context.args if word.endswith((".yaml", ".yml"))))


def _items(values: dict[str, Any]) -> Iterator[str]:
    root = values.get("root")
    if not isinstance(root, str) or "://" in root:
        return
    receipts = (Path(root).expanduser() / "stages").glob("*/*/*/receipt.json")
    for path in islice(receipts, MOST_RECEIPTS):
        try:
            yield from (
                str(row["item"]) for row in json.loads(path.read_bytes())["items"] if not row.get("figures", {}).get("panoramas")
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
