"""Dead letters: items that were given up and blocks that could not be made, to be looked at, tried again, or waived."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.stores.items import GivenUp, given_up, nearest_item, refuse_ambiguous
from flows.stores.record import user_name
from flows.stores.stored import plan_if_listed, stored_plan
from storage.records.runs import latest_run
from storage.urls import exists, join, read_bytes, write_bytes
from tasks.ingest import ingest
from tasks.stage.kind import Stage

NUMBER = re.compile(r"\d+(\.\d+)?")


def failed(config: Config) -> dict[str, Any]:
    """Given-up items that are not waived, those that are, blocks that the last run could not make, and causes with counts.

    Items whose files are gone are none of them, where the source can be listed.
    """
    waivers, last = read_waivers(config.root), latest_run(config.root, config.name) or {}
    found = [(one.as_json(), waiver(waivers, one.panoramas, one.item)) for one in given_up(plan_if_listed(config))]
    open_rows = [row for row, note in found if note is None]
    return {
        "items": open_rows,
        "waived": [{**row, **note} for row, note in found if note is not None],
        "blocks": last.get("failures", []),
        "causes": [{"cause": cause, "items": count} for cause, count in causes(open_rows).most_common()],
    }


def causes(rows: Sequence[dict[str, str]]) -> Counter[str]:
    """How often each cause occurs: stage and the reason up to its first detail, whatever the numbers in it.

    Numbers that are the same everywhere stand in it; where they differ, ``#`` does.
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        cause = cause_of(row["reason"])
        found[row["stage"], without_numbers(cause)].append(cause)
    return Counter({f"{at}: {alike if len(set(all_)) > 1 else all_[0]}": len(all_) for (at, alike), all_ in found.items()})


def without_numbers(text: str) -> str:
    """A reason with ``#`` for every number: what may differ between items that fail alike."""
    return NUMBER.sub("#", text)


def cause_of(reason: str) -> str:
    """A reason up to its first detail, without the file that it begins with."""
    parts = [part for part in reason.split(": ") if part]
    while len(parts) > 1 and "/" in parts[0]:
        parts.pop(0)
    return parts[0].split(" (")[0] if parts else reason


def items_to_retry(config: Config, names: Sequence[str]) -> list[str]:
    """The named items, or all given-up ones that are not waived, as users call them.

    Raises
    ------
    ConfigError
        A named item was not given up, or several sources have one of that name.
    """
    waivers = read_waivers(config.root)
    rows = given_up(plan_if_listed(config))
    if not names:
        return [one.name for one in rows if waiver(waivers, one.panoramas, one.item) is None]
    return [one.name for one in _named(rows, names)]


def _named(rows: Sequence[GivenUp], names: Sequence[str]) -> list[GivenUp]:
    return [_one_named(rows, name) for name in names]


def _one_named(rows: Sequence[GivenUp], name: str) -> GivenUp:
    found = [one for one in rows if one.name == name] or [one for one in rows if one.item == name]
    refuse_ambiguous(name, [one.name.removesuffix(f"/{name}") for one in found])
    if not found:
        known = [one.name for one in rows]
        raise ConfigError(f"item {name!r} was not given up; {nearest_item(name, known, 'items were given up')}")
    return found[0]


def waive(config: Config, names: Sequence[str], reason: str) -> dict[str, dict[str, str]]:
    """Accept that items stay without labels; returns all waivers of the store.

    Raises
    ------
    ConfigError
        An item was not given up, or several sources have one of that name.
    """
    note = {"waived": reason, "by": user_name(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    rows, waivers = given_up(stored_plan(config)), read_waivers(config.root)
    wanted = _named(rows, names) if names else [one for one in rows if waiver(waivers, one.panoramas, one.item) is None]
    waivers |= {_key(one.panoramas, one.item): note for one in wanted}
    write_bytes(_url(config.root), json.dumps(waivers, indent=1, ensure_ascii=False).encode())
    return waivers


def waiver(waivers: Mapping[str, dict[str, str]], panoramas: Stage, item: str) -> dict[str, str] | None:
    """What was noted when an item was waived; None if it was not. Waivers of old hold for a name, whatever the source."""
    return waivers.get(_key(panoramas, item)) or waivers.get(item)


def read_waivers(root: str) -> dict[str, dict[str, str]]:
    """Waived items of a store: its manifest and its name -> reason, who, when."""
    return json.loads(read_bytes(_url(root))) if exists(_url(root)) else {}


def _key(panoramas: Stage, item: str) -> str:
    return f"{ingest.manifest_name(panoramas)}/{item}" if panoramas.is_source else item


def _url(root: str) -> str:
    return join(root, "waivers.json")
