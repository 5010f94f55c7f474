"""Dead letters: items that were given up and blocks that could not be made, to be looked at, tried again, or waived."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.stores.items import nearest_item, quarantined_items
from flows.stores.record import user_name
from flows.stores.stored import stored_plan
from storage.runs import latest_run
from storage.urls import exists, join, read_bytes, write_bytes


def failed(config: Config) -> dict[str, Any]:
    """Given-up items that are not waived, those that are, blocks that the last run could not make, and causes with counts."""
    rows = quarantined_items(stored_plan(config))
    waived = read_waivers(config.root)
    open_rows = [row for row in rows if row["item"] not in waived]
    last = latest_run(config.root, config.name) or {}
    return {
        "items": open_rows,
        "waived": [{**row, **waived[row["item"]]} for row in rows if row["item"] in waived],
        "blocks": last.get("failures", []),
        "causes": [{"cause": cause, "items": count} for cause, count in causes(open_rows).most_common()],
    }


def causes(rows: Sequence[dict[str, str]]) -> Counter[str]:
    """How often each cause occurs: stage and the reason up to its first detail."""
    return Counter(f"{row['stage']}: {cause_of(row['reason'])}" for row in rows)


def cause_of(reason: str) -> str:
    """A reason up to its first detail, without the file that it begins with."""
    parts = [part for part in reason.split(": ") if part]
    while len(parts) > 1 and "/" in parts[0]:
        parts.pop(0)
    return parts[0].split(" (")[0] if parts else reason


def items_to_retry(config: Config, names: Sequence[str]) -> list[str]:
    """The named items, or all given-up ones that are not waived.

    Raises
    ------
    ConfigError
        A named item was not given up.
    """
    rows = {row["item"] for row in quarantined_items(stored_plan(config))}
    if not names:
        return sorted(rows - read_waivers(config.root).keys())
    for name in names:
        if name not in rows:
            raise ConfigError(f"item {name!r} was not given up; {nearest_item(name, rows, 'items were given up')}")
    return list(names)


def waive(config: Config, names: Sequence[str], reason: str) -> dict[str, dict[str, str]]:
    """Accept that items stay without labels; returns all waivers of the store.

    Raises
    ------
    ConfigError
        An item was not given up.
    """
    note = {"waived": reason, "by": user_name(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    waivers = read_waivers(config.root) | dict.fromkeys(items_to_retry(config, names), note)
    write_bytes(_url(config.root), json.dumps(waivers, indent=1, ensure_ascii=False).encode())
    return waivers


def read_waivers(root: str) -> dict[str, dict[str, str]]:
    """Waived items of a store: name -> reason, who, when."""
    return json.loads(read_bytes(_url(root))) if exists(_url(root)) else {}


def _url(root: str) -> str:
    return join(root, "waivers.json")
