"""Forgetting a panorama: its labels go from all fingerprints and plain published versions, and never come again.

The record is written first; from then on its item is given up for all who look, whatever becomes of this process. All that
follows may be done again, and is, by typing the same command, until nothing is left. Its neighbours in a block keep their rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.errors import RunFailed
from flows.invocation import command
from flows.plan import Plan
from flows.sources import Source
from flows.stores.held import blocks_with, wanted
from flows.stores.items import called, different, known_item
from flows.stores.needed import is_going
from flows.stores.record import user_name
from flows.stores.rest import Rests
from flows.stores.stored import stored_plan
from flows.stores.versions_held import blank_versions, expirable
from storage.erasing import Stored, erase
from storage.items import Item
from storage.receipts import Receipt
from storage.records.forgotten import Event, Forgotten, read_forgotten, write_forgotten
from storage.records.runs import read_runs, run_url
from storage.urls import location
from tasks.ingest import ingest


def forget(config: Config, names: Sequence[str], because: str) -> dict[str, Any]:
    """Remove the labels of panoramas for good, and leave a record of who did so, when and why.

    Returns
    -------
    dict
        The records as ``forgotten``, how many ``blocks`` and ``bytes`` went, of how many blocks the rows of other panoramas were
        ``kept``, the plain ``published`` versions that lost a row, what was ``made_with`` them and is owed again, and as ``left``
        what to type to remove the history of Icechunk.

    Raises
    ------
    ConfigError
        An item is not known, or has the pixels of another that is not named.
    RunFailed
        A run is going, which may make such labels yet: the record stands, and nothing was removed.
    """
    records = _recorded(config, names, because)
    _refuse_while_running(config)
    what = wanted(config.root, records, read_forgotten(config.root))
    going, learned = blocks_with(config.root, what)
    told = [{"stage": one.stage, "fingerprint": one.fingerprint, "block": one.block, "run": _run(one.receipt)} for one in learned]
    records = [_with_made(record, told) for record in records]
    for record in records:
        write_forgotten(config.root, record)
    published = blank_versions(config.root, what, records[0])
    kept, size = _erase(config.root, going)
    again = command("forget", *names, "--because", because)
    left = [{**one, "type": [*_to_type(config, one), again]} for one in expirable(config.root, what)]
    removed = {"at": _now(), "blocks": len(going), "kept": kept, "bytes": size, "published": published}
    for record in records if not left else ():
        write_forgotten(config.root, replace(record, removed=removed))
    made_with = list({str(one): dict(one) for record in records for one in record.made_with}.values())
    return {"forgotten": [_told(record) for record in records], **removed, "made_with": made_with, "left": left}


def _erase(root: str, going: Sequence[Stored]) -> tuple[int, int]:
    """Remove blocks, each once the rows of its other panoramas lie elsewhere; of how many blocks some do, and the bytes less."""
    rests, kept, size = Rests(root, read_forgotten(root)), 0, 0
    for one in going:
        rest = rests.write(one)
        kept += rest is not None
        size += erase(one.url) - (rest or 0)
    return kept, size


def remember(config: Config, names: Sequence[str], because: str) -> list[dict[str, Any]]:
    """Lift what was forgotten: the next run labels these panoramas again. The records stay, and say so too.

    Raises
    ------
    ConfigError
        An item is not forgotten.
    """
    plan, event = stored_plan(config), Event("remembered", because, user_name(), _now())
    held = {(record.source, record.item): record for record in read_forgotten(config.root) if record.holds}
    lifted = []
    for name in names:
        source, item = known_item(plan, name)
        record = held.get((ingest.manifest_name(source.stage), item.item))
        if record is None:
            known = ", ".join(sorted({one.item for one in held.values()})) or "none"
            raise ConfigError(f"item {name!r} is not forgotten; forgotten items: {known}")
        lifted.append(record.then(event))
    for record in lifted:
        write_forgotten(config.root, record)
    return [_told(record) for record in lifted]


def _recorded(config: Config, names: Sequence[str], because: str) -> list[Forgotten]:
    """The records of the named items, written; one that is forgotten already keeps what was said then."""
    plan = stored_plan(config)
    found = [known_item(plan, name) for name in names]
    _refuse_other_names(plan, found)
    event = Event("forgotten", because, user_name(), _now())
    before = {(record.source, record.item): record for record in read_forgotten(config.root)}
    records = []
    for source, item in found:
        place = (ingest.manifest_name(source.stage), item.item)
        digests = (item.digest,) if item.digest else ()
        record = before.get(place) or Forgotten(*place, digests, (event,))
        record = record if record.holds else replace(record, digests=tuple({*record.digests, *digests})).then(event)
        write_forgotten(config.root, record)
        records.append(record)
    return records


def _refuse_other_names(plan: Plan, found: Sequence[tuple[Source, Item]]) -> None:
    """Raise ConfigError if the same pixels have another name that was not given: half of it would be forgotten."""
    given = {(ingest.manifest_name(source.stage), item.item) for source, item in found}
    pixels = {item.digest for _, item in found if item.digest}
    name = called(plan)
    more = [
        name(source.key, item.item)
        for source in different(plan.sources)
        for item in source.scan.known
        if item.digest in pixels and (ingest.manifest_name(source.stage), item.item) not in given
    ]
    if more:
        own = [name(source.key, item.item) for source, item in found]
        both = command("forget", *own, *more, "--because", "...")
        raise ConfigError(f"{', '.join(own)}: {', '.join(more)} has the same pixels; forget all of them: {both}")


def _refuse_while_running(config: Config) -> None:
    going = [record["run"] for record in read_runs(config.root) if is_going(record)]
    if going:
        raise RunFailed(
            f"run {going[0]} is going, and may make labels of it yet: the record stands, and nothing is removed so far. "
            "Stop the run, or wait for its end, and type the same again. Of another machine's run that died, remove the record: "
            f"{location(run_url(config.root, going[0]))}"
        )


def _with_made(record: Forgotten, told: Sequence[dict[str, str]]) -> Forgotten:
    """The record with what learned from the item: found now, or by an earlier attempt that died."""
    known = [dict(one) for one in record.made_with]
    return replace(record, made_with=(*known, *(one for one in told if one not in known)))


def _to_type(config: Config, one: Mapping[str, Any]) -> Iterator[str]:
    """What expires the history of an Icechunk repository. Its latest version never does: another must come first."""
    if one["latest"]:
        own = () if one["name"] == config.name else ("--name", one["name"])
        yield command("run")
        yield command("publish", "--to", "icechunk", *own)
    yield one["expire"]


def _told(record: Forgotten) -> dict[str, Any]:
    return {"item": record.item, **{key: getattr(record.events[-1], key) for key in ("because", "by", "at")}}


def _run(receipt: Receipt | None) -> str:
    return str(receipt.made["run"]) if receipt else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
