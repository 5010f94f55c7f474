"""The Zarr arrays of one block: written whole shard by whole shard, read item by item.

Arrays are ``(items, ...)`` with chunks of one item (512-pixel tiles of a large one), each channel of a vector by itself. A shard
holds as many items as fit a fixed number of bytes, 16 at most: memory stays bounded however large the block is, and no shard is
written twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, Store
from zarr.codecs import BloscCodec, BloscShuffle
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore, WrapperStore

from storage.credentials import mask_credentials
from storage.entries import differences, entry_of
from storage.receipts import WITHDRAWN, files_of, read_receipt, withdraw
from storage.retries import persist
from storage.urls import children, join, zarr_store

DATA = "data.zarr"
"""Folder of the arrays below that of the block."""
SHARD_BYTES = 64 << 20
SHARD_ITEMS = 16
TILE = 512
CHANNELS = 4
"""At most so many numbers of a pixel are compressed apart: x, y and z of a normal have little in common."""
PICTURES = ("pixels",)
"""Arrays whose channels are alike, and smaller together."""
Entries = Mapping[str, Mapping[str, Any]]
"""Files by their path in a block's folder -> size and sha256, as receipts list them."""


def arrays_digest(arrays: Mapping[str, NDArray]) -> str:
    """blake2b (32 hex digits) of an item's arrays: names, dtypes, shapes and values, and nothing of how they are stored."""
    found = hashlib.blake2b(digest_size=16)
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest() if arrays else ""


@dataclass(frozen=True)
class Begun:
    """What an attempt at a block left: its first ``slots`` in whole shards, and all files that it wrote, those among them."""

    slots: int
    files: Entries


class BlockWriter:
    """Streams the arrays of a block into ``data.zarr`` below its URL, or into the root of a ``store`` that is at hand.

    Call :meth:`append` once per slot, in order, with the same array names, shapes and dtypes each time, or with None for an
    item that was given up (its values stay at zero); then :meth:`close`. Writing the same items again gives the same bytes,
    and never deletes what another writer of the same block may just have finished. One that goes on from what another has
    ``begun`` is given the slots after those.
    """

    def __init__(self, url: str, count: int, store: Store | None = None, begun: Begun | None = None) -> None:
        begun = begun or Begun(0, {})
        self._url = url if store else join(url, DATA)
        own = {name.removeprefix(f"{DATA}/"): dict(entry) for name, entry in begun.files.items() if name.startswith(f"{DATA}/")}
        self._store = RecordedStore(store or zarr_store(self._url), own)
        self._count = count
        self._slot = begun.slots
        self._first = begun.slots if own else 0  # of items that were all given up nothing is written yet
        self._flushed: dict[str, int] = {}
        self._arrays: dict[str, zarr.Array] = {}
        self._pending: dict[str, list[NDArray]] = {}
        self._shard_items: dict[str, int] = {}

    @property
    def written(self) -> dict[str, dict[str, Any]]:
        """What was written so far, for the block's receipt: path below the block's folder -> size and sha256."""
        return {f"{DATA}/{key}": entry for key, entry in self._store.entries.items()}

    @property
    def is_empty(self) -> bool:
        """Whether no item had any arrays so far."""
        return not self._arrays

    @property
    def whole(self) -> int:
        """Slots, from the first on, whose shards are all written."""
        return min(self._flushed.values()) if self._flushed else self._slot

    def append(self, arrays: Mapping[str, NDArray] | None) -> None:
        """Add the arrays of the next item."""
        if arrays and not self._arrays:
            self._create(arrays)
        if arrays is not None and arrays.keys() != self._arrays.keys():
            raise ValueError(f"items of one block must agree; got {', '.join(arrays)}, the first had {', '.join(self._arrays)}")
        for name, array in self._arrays.items():
            value = np.zeros(array.shape[1:], array.dtype) if arrays is None else arrays[name]
            if value.shape != array.shape[1:] or value.dtype != array.dtype:
                raise ValueError(
                    f"array {name!r}: items of one block must agree; got {value.dtype}{value.shape}, "
                    f"the first had {array.dtype}{array.shape[1:]}"
                )
            self._pending[name].append(value)
            if len(self._pending[name]) == self._shard_items[name]:
                self._flush(name, self._slot + 1)
        self._slot += 1

    def close(self) -> None:
        """Write what is still pending. ValueError if items are missing."""
        if self._slot != self._count:
            raise ValueError(f"{self._url}: {self._slot} of {self._count} items were written")
        for name in self._arrays:
            if self._pending[name]:
                self._flush(name, self._count)

    def _create(self, arrays: Mapping[str, NDArray]) -> None:
        for name, value in arrays.items():
            self._shard_items[name] = int(np.clip(SHARD_BYTES // max(value.nbytes, 1), 1, min(SHARD_ITEMS, self._count)))
        for key, document in _metadata(arrays, self._count, self._shard_items).items():
            persist(self._url, self._store.put, key, document)
        group = persist(self._url, zarr.open_group, self._store, mode="r+", zarr_format=3)
        for name, value in arrays.items():
            shard_items, array = self._shard_items[name], group[name]
            assert isinstance(array, zarr.Array)
            self._arrays[name] = array.with_config(
                {"write_empty_chunks": True}
            )  # a reader takes a chunk that is not there for lost
            held = self._first % shard_items  # of the shard that was open: what another writer has made
            self._pending[name] = list(np.asarray(self._arrays[name][self._first - held : self._first])) if held else []
            self._flushed[name] = self._first - held
            for slot in range(self._first, min(self._slot, self._count)):  # items given up before the first good one
                self._pending[name].append(np.zeros_like(value))
                if len(self._pending[name]) == shard_items:
                    self._flush(name, slot + 1)

    def _flush(self, name: str, end: int) -> None:
        pending = self._pending[name]
        # A shard is written whole, so writing it again after an answer was lost gives the same bytes.
        persist(self._url, self._arrays[name].__setitem__, slice(end - len(pending), end), np.stack(pending))
        self._flushed[name] = end
        pending.clear()


def _metadata(arrays: Mapping[str, NDArray], count: int, shard_items: Mapping[str, int]) -> dict[str, Buffer]:
    """The documents of a block's group and arrays. Made beside the store and written whole: what another attempt at the block
    left there, or is writing, does not matter."""
    documents: dict[str, Buffer] = {}
    group = zarr.open_group(MemoryStore(documents), mode="w", zarr_format=3)
    for name, value in arrays.items():
        sides = [max(size, 1) for size in value.shape]  # a table of no class is one of a side of none, and its chunk of one
        tile = _tile(name, sides)
        padded = tuple(-(-size // step) * step for size, step in zip(sides, tile, strict=True))
        group.create_array(
            name,
            shape=(count, *value.shape),
            dtype=value.dtype,
            chunks=(1, *tile),
            shards=(shard_items[name], *padded),
            compressors=BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.shuffle, typesize=value.dtype.itemsize),
            fill_value=0,
        )
    return documents


def _tile(name: str, sides: Sequence[int]) -> tuple[int, ...]:
    """What of an item is compressed together."""
    tile = [min(size, TILE) if axis < 2 and len(sides) >= 2 else size for axis, size in enumerate(sides)]
    if len(sides) >= 3 and sides[-1] <= CHANNELS and name not in PICTURES:
        tile[-1] = 1
    return tuple(tile)


class RecordedStore(WrapperStore[Store]):
    """A store that keeps size and sha256 of what is written to it."""

    def __init__(self, store: Store, entries: dict[str, dict[str, Any]] | None = None) -> None:
        super().__init__(store)
        self.entries = {} if entries is None else entries

    def _with_store(self, store: Store) -> RecordedStore:
        return RecordedStore(store, self.entries)

    def put(self, key: str, value: Buffer) -> None:
        """Write a document, waiting until it is there."""
        sync(self.set(key, value))

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """What was written here: a shard that another attempt left, torn perhaps, is replaced without being read."""
        return await self._store.get(key, prototype, byte_range) if key in self.entries else None

    async def set(self, key: str, value: Buffer) -> None:
        await self._store.set(key, value)
        self.entries[key] = entry_of(value.to_bytes())

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        await self.set(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        for key, value in values:
            await self.set(key, value)


class DamagedBlock(RuntimeError):
    """A finished block cannot be read back: files are gone, or hold other bytes. Never a fault of its items."""


class BlockReader:
    """Reads single items of a finished block's arrays. Nothing that is missing or broken reads as zeros.

    ``files`` are those that the block's receipt lists; without them, an array that is gone altogether goes unnoticed.
    Where a read fails, the files are compared with these: if they differ, the receipt that lists them is withdrawn, so that the
    next run makes the block again. If they do not, it is no damage, and the error is raised as it came.
    """

    def __init__(self, url: str, files: Entries | None = None) -> None:
        self._url, self._files = url, files
        self._arrays: dict[str, zarr.Array] = {}
        self._group = self._sound(self._open)
        folders = children(join(url, DATA)) if files is None else [name.split("/")[1] for name in files if "/" in name]
        # A killed attempt may have left a temporary file of Zarr's.
        self.names = tuple(sorted({name for name in folders if name != "zarr.json" and not name.endswith(".partial")}))

    def item(self, slot: int, names: tuple[str, ...] | None = None) -> dict[str, NDArray]:
        """The arrays of the item in one slot, all of them or those named.

        Raises
        ------
        DamagedBlock
            What the block's receipt promises is not there.
        StoreError
            The store is out of reach.
        """
        return {name: self._sound(self._read, name, slot) for name in (self.names if names is None else names)}

    def _open(self) -> zarr.Group:
        store = _Complete(zarr_store(join(self._url, DATA), read_only=True))
        return zarr.open_group(store, mode="r", zarr_format=3)

    def _read(self, name: str, slot: int) -> NDArray:
        if name not in self._arrays:
            array = self._group[name]
            assert isinstance(array, zarr.Array)
            self._arrays[name] = array
        return np.asarray(self._arrays[name][slot])

    def _sound(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """What a read gives. A read fails for many a reason: a name that is not there, or an interpreter that ends."""
        try:
            return persist(self._url, read, *arguments)
        except (ValueError, KeyError, RuntimeError, FileNotFoundError) as error:
            files = files_of(self._url) if self._files is None else self._files
            if not files or not differences(self._url, files):
                raise
            raise damaged(self._url, f"{type(error).__name__}: {str(error)[:200]}", files) from error


def damaged(url: str, why: str, files: Entries) -> DamagedBlock:
    """The error of a block that cannot be read as its receipt says.

    The receipt is withdrawn if it lists these ``files``, and they are shown to differ: one that lists others belongs to data that
    were made again meanwhile, and sound files were only read while somebody wrote them.
    """
    shown = mask_credentials(url)
    receipt = read_receipt(url)
    if receipt is not None and (receipt.files != files or not differences(url, files)):
        return DamagedBlock(f"{shown}: the stored block was damaged as it was read ({why}), and is sound by now: run again")
    told = WITHDRAWN if receipt is None else withdraw(url, receipt)
    return DamagedBlock(f"{shown}: the stored block is damaged ({why}); {told}: run the pipeline that made it")


class _Complete(WrapperStore[Store]):
    """A store in which every chunk was written: Zarr would read one that is gone as zeros."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        value = await super().get(key, prototype, byte_range)
        if value is None and "c" in key.split("/")[1:2]:
            raise FileNotFoundError(f"data.zarr/{key} is gone")
        return value
