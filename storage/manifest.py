"""The manifest: which panoramas there are, which block and slot each one holds, and which are quarantined.

Items never move. New items make new blocks, so work that is done stays valid; an item whose file changed keeps its place
and gives its block a new name.
"""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.credentials import mask_credentials
from storage.fingerprint import canonical_json, digest
from storage.names import unsafe_name
from storage.urls import children, exists, join, read_bytes, write_bytes

ROWS_AT_ONCE = 10_000  # rows become Python objects in batches: a manifest may have millions
SUFFIX, PARTS = ".parquet", ".parts"
"""How the names of a manifest end, and of the folder beside it for items that were read since it was written."""
PLACED = "placed-"
"""How the files begin that hold, beside a manifest, whole blocks which were given their places since it was written."""

SCHEMA = pa.schema(
    [
        ("item", pa.string()),
        ("uri", pa.string()),
        ("digest", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("split", pa.string()),
        ("block", pa.int32()),
        ("slot", pa.int32()),
        ("size", pa.int64()),
        ("stamp", pa.string()),
        ("metadata", pa.string()),
        ("figures", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Item:
    """One panorama. ``block`` is -1 for a quarantined one, whose ``reason`` says why.

    ``size`` and ``stamp`` (modification time or entity tag) tell whether a file must be read again; ``digest`` is the
    sha256 of its bytes; ``metadata`` holds what is known of the capture; ``figures`` what ingest found in the pixels, such as
    ``observed``, the share of the sphere that was photographed (1 where it is not named).
    """

    item: str
    uri: str
    digest: str
    height: int
    width: int
    size: int
    stamp: str
    split: str = ""
    block: int = -1
    slot: int = -1
    reason: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """The items of one block in the order of their slots; ``name`` changes when any item's bytes do, or when
    ingest gives one up, or takes one up again."""

    index: int
    items: tuple[Item, ...]

    @cached_property
    def name(self) -> str:
        """Number and digest of the contents, such as ``000002-3fa9c1d0e5b7``."""
        given_up = [["given up"] if item.reason else [] for item in self.items]
        contents = [[item.item, item.digest, item.metadata, *more] for item, more in zip(self.items, given_up, strict=True)]
        return f"{self.index:06d}-{digest(canonical_json(contents))[:12]}"


class ManifestError(ValueError):
    """Items that cannot stand side by side in one manifest."""

    def __init__(self, message: str) -> None:
        super().__init__(mask_credentials(message))


def read_manifest(url: str) -> list[Item]:
    """The items of a manifest file, and those that were placed since it was written; none if there is nothing yet.

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


def _part(url: str) -> list[Item]:
    """Items of a file beside the manifest; a damaged one counts as none: what it told is read and placed again."""
    try:
        return _read_file(url)
    except ManifestError:
        return []


def _with_placed(items: Sequence[Item], parts: Iterable[Sequence[Item]]) -> list[Item]:
    """Items with those that were placed since. Of two runs that gave a place twice, or an item two, the first is right."""
    merged = {item.item: item for item in items}
    holders = {_place(item): item.item for item in items if item.block >= 0}
    for block in (block for part in parts for block in blocks_of(part)):
        before = [(merged.get(one.item, one), one) for one in block.items]
        stay = all(was.block < 0 or _place(was) == _place(one) for was, one in before)
        if stay and all(holders.get(_place(one), one.item) == one.item for one in block.items):
            merged |= {one.item: one for one in block.items}
            holders |= {_place(one): one.item for one in block.items}
    return sorted(merged.values(), key=lambda item: item.item)


def _place(item: Item) -> tuple[int, int]:
    return item.block, item.slot


def _read_file(url: str) -> list[Item]:
    if not exists(url):
        return []
    try:
        data = read_bytes(url)
    except FileNotFoundError:
        return []
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if not _has_all_columns(file.schema_arrow):
            raise ManifestError(f"its columns are {file.schema_arrow.names}, not {SCHEMA.names}")
        batches = file.iter_batches(ROWS_AT_ONCE, columns=SCHEMA.names)
        items = [_item(row) for batch in batches for row in batch.to_pylist()]
        _refuse_contradictions(items)
    except (ValueError, TypeError, RecursionError, OSError, MemoryError, pa.ArrowException) as error:
        raise ManifestError(
            f"manifest {url}: is damaged ({str(error)[:200]}); restore it from a backup, or remove it to ingest the source anew"
        ) from error
    return items


def _has_all_columns(schema: pa.Schema) -> bool:
    """Whether the columns that are read are there, each of its type. A newer version may have more."""
    return all(field.name in schema.names and schema.field(field.name).type == field.type for field in SCHEMA)


def _item(row: dict[str, Any]) -> Item:
    missing = [name for name, value in row.items() if value is None]
    if missing:
        raise ManifestError(f"item {row['item']!r} has no {', '.join(missing)}")
    if problem := unsafe_name(row["item"]):
        raise ManifestError(f"item name {row['item'][:80]!r} {problem}")
    said = {name: json.loads(row[name]) for name in ("metadata", "figures")}
    for name, value in said.items():
        if not isinstance(value, dict):
            raise ManifestError(f"the {name} of item {row['item']!r} is no JSON object")
    return Item(**{**row, **said})


def _refuse_contradictions(items: Sequence[Item]) -> None:
    """Raise ManifestError where two items have one name, or one place."""
    for what, values in (
        ("names", [item.item for item in items]),
        ("places", [_place(item) for item in items if item.block >= 0]),
    ):
        if len(set(values)) < len(values):
            raise ManifestError(f"two of its items have the same {what[:-1]}")


def write_manifest(url: str, items: Sequence[Item]) -> None:
    """Write all items as Parquet, atomically. Credentials in their URIs are masked: the source's listing tells them anew.

    Columns of a newer version that the file there has are kept for the items that it has.
    """
    rows = [
        {
            **asdict(item),
            "uri": mask_credentials(item.uri),
            "metadata": canonical_json(item.metadata),
            "figures": canonical_json(item.figures),
        }
        for item in items
    ]
    table = _with_kept_columns(pa.Table.from_pylist(rows, SCHEMA), url)
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


def blocks_of(items: Iterable[Item]) -> list[Block]:
    """The blocks that the placed items make, in order."""
    placed = sorted((item for item in items if item.block >= 0), key=lambda item: (item.block, item.slot))
    return [Block(index, tuple(group)) for index, group in groupby(placed, key=lambda item: item.block)]


def place(known: Sequence[Item], checked: Sequence[Item], block_size: int) -> list[Item]:
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
    for item in checked:
        if problem := unsafe_name(item.item):
            raise ManifestError(f"item name {item.item[:80]!r} {problem}; rename the file, or give ids in a list")
    merged = {item.item: item for item in known}
    next_block = max((item.block for item in known), default=-1) + 1
    newcomers = []
    for item in checked:
        before = merged.get(item.item)
        if before is not None and before.block >= 0:
            # Its slot stays taken even if the file is given up: later stages then quarantine it by its reason.
            merged[item.item] = replace(item, block=before.block, slot=before.slot)
        else:
            merged[item.item] = item
            if not item.reason:
                newcomers.append(item)
    for position, item in enumerate(sorted(newcomers, key=lambda item: item.item)):
        merged[item.item] = replace(item, block=next_block + position // block_size, slot=position % block_size)
    refuse_clashes(list(merged))
    return sorted(merged.values(), key=lambda item: item.item)


def refuse_clashes(names: Sequence[str]) -> None:
    """Raise ManifestError if two names would be one on some file systems: equal but for case or Unicode form."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            raise ManifestError(
                f"items {seen[folded]!r} and {name!r} would get the same name; rename one file, or give both ids in a list"
            )
        seen[folded] = name
