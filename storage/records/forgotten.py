"""Panoramas that were forgotten on purpose: what, who, when and why, in a file each below ``<root>/forgotten``.

The record comes first, and all else follows from it: whoever reads a manifest takes such an item for given up from then on. A
record is never removed; one that is lifted says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.columns import found_in
from storage.credentials import mask_credentials
from storage.fingerprint import digest
from storage.items import Item, Items
from storage.urls import children, join, read_bytes, write_bytes

REASON = "forgotten: "
"""How the reason begins of an item that was forgotten."""
READERS = 16
"""Records that are read at a time."""


class ForgottenError(ValueError):
    """A record cannot be read, so that nobody knows what may not be labelled."""


@dataclass(frozen=True)
class Event:
    """An item was forgotten, or is remembered again: why, by whom and when."""

    what: Literal["forgotten", "remembered"]
    because: str
    by: str
    at: str


@dataclass(frozen=True)
class Forgotten:
    """What is known of an item that was forgotten.

    ``source`` is the name of its manifest, ``digests`` those of its pixels, ``made_with`` what learned from labels that it was
    among (stage, fingerprint, block, run), and ``removed`` what went; empty until all of it did.
    """

    source: str
    item: str
    digests: tuple[str, ...]
    events: tuple[Event, ...]
    made_with: tuple[Mapping[str, str], ...] = ()
    removed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether it is forgotten now."""
        return self.events[-1].what == "forgotten"

    def then(self, event: Event) -> Forgotten:
        """The record after one more event; nothing is removed yet on account of that."""
        return replace(self, events=(*self.events, event), removed={})

    def as_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)


def read_forgotten(root: str) -> list[Forgotten]:
    """All records of a store, by item.

    Raises
    ------
    ForgottenError
        One is damaged: what it forbids would be labelled again.
    """
    urls = [join(root, "forgotten", name) for name in children(join(root, "forgotten")) if name.endswith(".json")]
    if not urls:
        return []
    with ThreadPoolExecutor(READERS, thread_name_prefix="forgotten") as pool:
        return sorted(pool.map(_read, urls), key=lambda one: (one.item, one.source))


def _read(url: str) -> Forgotten:
    try:
        said: dict[str, Any] = json.loads(read_bytes(url))
        events = tuple(Event(**event) for event in said["events"])
        lists: dict[str, Any] = {key: tuple(said[key]) for key in ("digests", "made_with")}
        if not events:
            raise ValueError("it tells nothing")
        return Forgotten(**{**said, **lists, "events": events})
    except (ValueError, TypeError, KeyError) as error:
        why = f"is damaged ({error}); restore it from a backup: it says what may not be labelled"
        raise ForgottenError(f"{mask_credentials(url)}: {why}") from error


def write_forgotten(root: str, record: Forgotten) -> None:
    """Write a record, atomically."""
    name = f"{record.source}-{digest(record.item)[:16]}.json"
    write_bytes(join(root, "forgotten", name), json.dumps(record.as_json(), indent=1, ensure_ascii=False).encode())


def is_forgotten(item: Item) -> bool:
    """Whether an item, as :func:`as_told` gives it, was forgotten."""
    return item.reason.startswith(REASON)


def names_of(records: Sequence[Forgotten], source: str) -> frozenset[str]:
    """Items of a manifest that are forgotten now by their name: whatever lies under it is not read."""
    return frozenset(record.item for record in records if record.holds and record.source == source)


def forgotten_names(items: Items) -> list[str]:
    """Names of the items that :func:`is_forgotten`."""
    return items.where(pc.starts_with(items.column("reason"), REASON)).names


def as_told(items: Iterable[Item], records: Sequence[Forgotten], source: str) -> Items:
    """The items of a manifest, those that are forgotten given up: by their name, or by their pixels under any name."""
    items, held = Items.made_of(items), [record for record in records if record.holds]
    names = {record.item: record for record in held if record.source == source}
    pixels = {one: record for record in held for one in record.digests}
    named = found_in(items.column("item"), names) | found_in(items.column("digest"), pixels)
    if not named.any():
        return items
    reasons = items.values("reason")
    for row in np.flatnonzero(named):
        item = items[int(row)]
        reasons[row] = _reason(item, names.get(item.item) or pixels[item.digest])
    return items.with_column("reason", pa.array(reasons, pa.string()))


def _reason(item: Item, record: Forgotten) -> str:
    same = "" if record.item == item.item else f"the pixels of {record.item}: "
    return f"{REASON}{same}{record.events[-1].because}"
