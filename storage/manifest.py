"""The manifest: which panoramas there are, which block and slot each one holds, and which are quarantined.

Items never move. New items make new blocks, so work that is done stays valid; an item whose file changed keeps its place
and gives its block a new name.
"""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.columns import found_in, json_fields, places_in
from storage.credentials import mask_credentials
from storage.fingerprint import canonical_json, digest
from storage.items import SCHEMA, Item, Items
from storage.names import unsafe_name
from storage.urls import children, exists, join, read_bytes, write_bytes

SUFFIX, PARTS = ".parquet", ".parts"
"""How the names of a manifest end, and of the folder beside it for items that were read since it was written."""
PLACED = "placed-"
"""How the files begin that hold, beside a manifest, whole blocks which were given their places since it was written."""


class ManifestError(ValueError):
    """Items that cannot stand side by side in one manifest."""

    def __init__(self, message: str) -> None:
        super().__init__(mask_credentials(message))


def read_manifest(url: str) -> Items:
    """The items of a manifest file by name, and those that were placed since it was written; none if there is nothing yet.

    Raises
    ------
    ManifestError
        The file is damaged, or was written by something else.
    """
    items = _read_file(url)
    parts = placed_parts(url)
    return _with_placed(items, [_part(part) for part in parts]) if parts else items


def parts_url(url: str) -> str:
    """The folder beside a manifest for items that were read since it was written."""
    return url.removesuffix(SUFFIX) + PARTS


def placed_parts(url: str) -> list[str]:
    """URLs of the files beside a manifest that hold whole blocks which were placed since it was written."""
    return [join(parts_url(url), name) for name in children(parts_url(url)) if name.startswith(PLACED)]


def add_placed(url: str, items: Sequence[Item]) -> None:
    """Note items of whole blocks beside a manifest, at a cost that does not grow with it."""
    name = digest(canonical_json([[item.item, item.digest, item.block, item.slot] for item in items]))[:16]
    write_manifest(join(parts_url(url), PLACED + name + SUFFIX), items)


def _part(url: str) -> Items:
    """Items of a file beside the manifest; a damaged one counts as none: what it told is read and placed again."""
    try:
        return _read_file(url)
    except ManifestError:
        return Items.made_of([])


def _with_placed(items: Items, parts: Sequence[Items]) -> Items:
    """Items with those that were placed since. Of two runs that gave a place twice, or an item two, the first is right."""
    every = Items(Item, pa.concat_tables([items.table, *(part.table for part in parts)]))
    if not _contradiction(every):
        return every.in_order("item")
    merged = {item.item: item for item in items}
    holders = {_place(item): item.item for item in items if item.block >= 0}
    for block in (block for part in parts for block in part.blocks):
        before = [(merged.get(one.item, one), one) for one in block.items]
        stay = all(was.block < 0 or _place(was) == _place(one) for was, one in before)
        if stay and all(holders.get(_place(one), one.item) == one.item for one in block.items):
            merged |= {one.item: one for one in block.items}
            holders |= {_place(one): one.item for one in block.items}
    return Items.made_of(merged[name] for name in sorted(merged))


def _place(item: Item) -> tuple[int, int]:
    return item.block, item.slot


def _read_file(url: str) -> Items:
    if not exists(url):
        return Items.made_of([])
    try:
        data = read_bytes(url)
    except FileNotFoundError:
        return Items.made_of([])
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if not _has_all_columns(file.schema_arrow):
            raise ManifestError(f"its columns are {file.schema_arrow.names}, not {SCHEMA.names}")
        return _sound(file.read(SCHEMA.names).select(SCHEMA.names).cast(SCHEMA))
    except (ValueError, TypeError, RecursionError, OSError, MemoryError, pa.ArrowException) as error:
        raise ManifestError(
            f"manifest {url}: is damaged ({str(error)[:200]}); restore it from a backup, or remove it to ingest the source anew"
        ) from error


def _has_all_columns(schema: pa.Schema) -> bool:
    """Whether the columns that are read are there, each of its type. A newer version may have more."""
    return all(field.name in schema.names and schema.field(field.name).type == field.type for field in SCHEMA)


def _sound(table: pa.Table) -> Items:
    """The items of a table, by name; ManifestError if something in it cannot be."""
    table.validate(full=True)  # texts that are none, above all: nobody reads them before they are asked for
    for name in SCHEMA.names:
        if table[name].null_count:
            row = int(np.flatnonzero(np.asarray(table[name].is_null()))[0])
            raise ManifestError(f"item {table['item'][row].as_py()!r} has no {name}")
    items = Items(Item, table)
    if bad := next((name for name in items.each("item") if unsafe_name(name)), None):
        raise ManifestError(f"item name {bad[:80]!r} {unsafe_name(bad)}")
    for name in json_fields(Item):
        items = items.with_column(name, _checked_json(table, name))
    if what := _contradiction(items):
        raise ManifestError(f"two of its items have the same {what}")
    return items.in_order("item")


def _checked_json(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of JSON objects in their canonical form. Most rows say the same: each text is looked at once."""
    forms: dict[str, str] = {}
    for text in table[name].unique().to_pylist():
        value = json.loads(text)
        if not isinstance(value, dict):
            row = table["item"][table[name].index(text).as_py()]
            raise ManifestError(f"the {name} of item {row.as_py()!r} is no JSON object")
        forms[text] = canonical_json(value)
    if all(text == form for text, form in forms.items()):
        return table[name]
    return pa.chunked_array([pa.array([forms[text] for text in table[name].to_pylist()], pa.string())])


def _contradiction(items: Items) -> str:
    """What two items have in common that they may not: a name, or a place."""
    if pc.count_distinct(items.column("item")).as_py() < len(items):
        return "name"
    blocks, slots = items.numbers("block"), items.numbers("slot")
    places = (blocks << 32 | slots)[blocks >= 0]
    return "place" if len(np.unique(places)) < len(places) else ""


def write_manifest(url: str, items: Sequence[Item]) -> None:
    """Write all items as Parquet, atomically. Credentials in their URIs are masked: the source's listing tells them anew.

    Columns of a newer version that the file there has are kept for the items that it has.
    """
    own = Items.made_of(items)
    masked = own.with_column("uri", pa.array([mask_credentials(uri) for uri in own.values("uri")], pa.string()))
    table = _with_kept_columns(masked.table, url)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(url, buffer.getvalue())


def _with_kept_columns(table: pa.Table, url: str) -> pa.Table:
    """The table with the columns that only the file at the URL has, nothing where an item is new."""
    if not exists(url):
        return table
    try:
        before = pq.ParquetFile(io.BytesIO(read_bytes(url)))
        more = [name for name in before.schema_arrow.names if name not in SCHEMA.names]
        kept = before.read(["item", *more]) if more else None
    except (pa.ArrowException, OSError, KeyError):  # a damaged file, which is to be replaced, has nothing to keep
        return table
    if kept is None:
        return table
    places = {name: place for place, name in enumerate(kept["item"].to_pylist())}
    taken = pa.array([places.get(name) for name in table["item"].to_pylist()], pa.int64())
    for name in more:
        table = table.append_column(name, kept[name].combine_chunks().take(taken))
    return table


def place(known: Iterable[Item], checked: Iterable[Item], block_size: int) -> Items:
    """Merge freshly checked items into those known, giving new ones places in new blocks.

    Parameters
    ----------
    known : items of the manifest as it was
    checked : items that are new or whose file changed; those with a ``reason`` get no place
    block_size : items in a new block

    Raises
    ------
    ManifestError
        Two items whose names are equal but for case or Unicode form, or a name that is not safe as part of a path.
    """
    before, came = Items.made_of(known), _last_of_each(_with_safe_names(checked))
    rest = before.where(~found_in(before.column("item"), came.names))
    items = rest.plus(_with_places(before, came, block_size)).in_order("item")
    refuse_clashes(items.names)
    return items


def _with_safe_names(items: Iterable[Item]) -> Items:
    if isinstance(items, Items):
        for name in items.each("item"):
            _refuse_unsafe(name)
        return items

    def seen() -> Iterator[Item]:  # before they are in columns, which take no text that is none
        for item in items:
            _refuse_unsafe(item.item)
            yield item

    return Items.made_of(seen())


def _refuse_unsafe(name: str) -> None:
    if problem := unsafe_name(name):
        raise ManifestError(f"item name {name[:80]!r} {problem}; rename the file, or give ids in a list")


def _last_of_each(items: Items) -> Items:
    """Of several items of one name the last, by name."""
    rows = {name: row for row, name in enumerate(items.names)}
    return items.take(np.array([rows[name] for name in sorted(rows)], np.int64))


def _with_places(before: Items, came: Items, block_size: int) -> Items:
    """Items that came, those that had a place in it again: it stays taken even if a file is given up, and later stages then
    quarantine it by its reason. Others get places behind all that there are."""
    at = places_in(came.column("item"), before.column("item"))
    known = before.take(at[at >= 0])
    blocks, slots = np.full(len(came), -1), np.full(len(came), -1)
    blocks[at >= 0], slots[at >= 0] = known.numbers("block"), known.numbers("slot")
    new = (blocks < 0) & np.asarray(pc.equal(came.column("reason"), ""))
    count = np.arange(int(new.sum()))
    blocks[new], slots[new] = next_block(before) + count // block_size, count % block_size
    return came.with_numbers("block", blocks).with_numbers("slot", slots)


def next_block(items: Items) -> int:
    """The number of the first block that there is not."""
    return int(items.numbers("block").max(initial=-1)) + 1


def refuse_clashes(names: Sequence[str]) -> None:
    """Raise ManifestError if two names would be one on some file systems: equal but for case or Unicode form."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            raise ManifestError(
                f"items {seen[folded]!r} and {name!r} would get the same name; rename one file, or give both ids in a list"
            )
        seen[folded] = name
