"""A stage that is joined to its one reader (``keep: never``): its items are made as the reader asks for them, and never stored.

Their arrays pass through the same encoding as if they were stored, so the reader's bytes are the same; or they stay on a device
that both compute on, where the reader rounds them alike. What became of the items is left in the store as the receipt of a block
whose data was dropped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from storage.arrays import arrays_digest
from storage.fingerprint import canonical_json, digest
from storage.receipts import Receipt, read_dropped, read_receipt, write_dropped
from storage.rows import ItemRow
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Stage
from tasks.stage.making import Compute, Making, as_stored, check_as_planned, made_of_block
from tasks.stage.plain import named_function
from tasks.stage.reuse.rows import row_keys
from tasks.stage.spent import Spent
from tasks.stage.upstream import Upstream, given_up_before

JOINED = "joined"
"""What ``made`` of a receipt calls the stages that its own had joined to it, by their names."""


class Joined:
    """The block of a joined stage that a job reads, made item by item.

    ``about`` says what :class:`tasks.stage.upstream.StoredBlock` says of a stored one; all of it once an item is made.
    """

    def __init__(self, job: Job, stage: Stage) -> None:
        self.stage = stage
        self._reader = job
        self._job = replace(job, stage=stage, code="", copies={}, adopts="", replaces="")
        self._started = time.time()
        self._spent = Spent()
        self._rows: dict[int, ItemRow] = {}
        self._said: Mapping[str, Any] | None = None
        self._layout: dict[str, tuple[Any, ...]] = {}

    @property
    def about(self) -> Mapping[str, Any]:
        """What is said of the items."""
        if self._said is not None:
            return self._said
        return as_stored(self._making.about)

    def get_ready(self) -> None:
        """Load what makes items, before any is in hand: what kills the process here is no item's fault."""
        _ = self._making

    def item(self, slot: int) -> dict[str, NDArray]:
        """The arrays of one item, made now, as they would be stored; BadItem if it is given up."""
        output = self._output(slot, self._making.compute)
        arrays = dict(self._making.encode(output.values))
        self._refuse_unlike({name: (array.dtype.str, array.shape) for name, array in arrays.items()})
        self._done(slot, output, arrays_digest(arrays))
        return arrays

    @property
    def stays(self) -> bool:
        """Whether :meth:`values` can be had: what is made of items may stay on the device."""
        return self._making.stays is not None

    def values(self, slot: int) -> Any:
        """What is made of one item, left on the device; BadItem if it is given up.

        Its row has no digest of arrays, which were never on the host. In the place of one stands what they were made of: no block
        of another fingerprint is taken to be like it.
        """
        assert self._making.stays is not None
        output = self._output(slot, self._making.stays)
        self._refuse_unlike({name: (str(one.values.dtype), tuple(one.values.shape)) for name, one in output.values.items()})
        item = self._job.block.items[slot]
        self._done(slot, output, digest(canonical_json([self._job.identity.fingerprint, item.item, item.digest])))
        return output.values

    def _output(self, slot: int, compute: Compute) -> Output:
        item = self._job.block.items[slot]
        try:
            with self._spent.on("input"):
                inputs = self._making.read(slot, item)
            with self._spent.on("compute"):
                return compute(item, inputs)
        except BadItem as error:
            row = self._rows[slot] = ItemRow(item.item, "quarantined", str(error), given_up_at=error.given_up_at)
            raise given_up_before(row, self.stage.name) from error

    def _done(self, slot: int, output: Output, seen: str) -> None:
        item = self._job.block.items[slot].item
        self._rows[slot] = ItemRow(item, "done", figures=output.figures, digest=seen, key=self._keys[slot])
        if self._said is None:
            self._said = as_stored(self._making.about)

    def told(self) -> dict[str, Any]:
        """What the reader's receipt says of it."""
        items = sum(row.state == "done" for row in self._rows.values())
        return {"identity": self._job.identity.as_json(), "items": items, **self._spent.told()}

    def saved(self, rows: int) -> dict[str, Any]:
        """What the next attempt at the reader's block need not make once more, of the first items."""
        own = {slot: asdict(row) for slot in range(rows) if (row := self._rows.get(slot))}
        return {"rows": own, "about": self._said}

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Take over what an earlier attempt has saved."""
        self._rows = {int(slot): ItemRow(**row) for slot, row in saved["rows"].items()}
        self._said = saved["about"]

    def leave(self, rows: Sequence[ItemRow]) -> None:
        """Write what became of the items, as the receipt of a block whose data was dropped; ``rows`` are the reader's."""
        if self._reader.stage.root != self.stage.root:  # the reader is only tried out
            return
        found = [self._rows.get(slot) or self._copied(slot) or _as_read(row) for slot, row in enumerate(rows)]
        about = self._said or next((one.about for one in self._sources.values() if one), {})
        made = made_of_block(self._job, self._started, self._device) | {"joined_to": self._reader.stage.name}
        identity, block = self._job.identity, self._job.block.name
        write_dropped(self._job.url, Receipt(identity.stage, identity.fingerprint, block, found, {}, about, made))

    @cached_property
    def _making(self) -> Making:
        making: Making = named_function(self.stage.kind.joins)(self._job)
        check_as_planned(self._job, making.weights)
        return making

    @property
    def _device(self) -> str:
        """What items were made on; that of those that were copied, if none was made."""
        known = "_making" in self.__dict__
        return self._making.device if known else next((one.made["device"] for one in self._sources.values() if one), "cpu")

    @cached_property
    def _keys(self) -> Sequence[str]:
        return row_keys(self.stage, self._job.block.items)

    @cached_property
    def _sources(self) -> dict[str, Receipt | None]:
        """By the reader's blocks that it copies rows of, what is known of the joined stage's own."""
        blocks = sorted({block for block, _ in self._reader.copies.values()})
        urls = {block: self.stage.block_url(block) for block in blocks}
        return {block: read_dropped(url) or read_receipt(url) for block, url in urls.items()}

    def _copied(self, slot: int) -> ItemRow | None:
        block, there = self._reader.copies.get(slot, ("", -1))
        source = self._sources.get(block)
        row = source.items[there] if source and there < len(source.items) else None
        return replace(row, item=self._job.block.items[slot].item, key=self._keys[slot]) if row and row.state == "done" else None

    def _refuse_unlike(self, layout: dict[str, tuple[Any, ...]]) -> None:
        self._layout = self._layout or layout
        if layout != self._layout:
            raise ValueError(f"{self._job.key}: items of one block must agree; got {layout}, the first had {self._layout}")


def _as_read(row: ItemRow) -> ItemRow:
    """What became of an item whose reader had no need of it, or whose row was lost: as the reader's."""
    return replace(row, figures={}, digest="", key="")


def read_block(job: Job, stage: Stage) -> Upstream | Joined:
    """The block of a stage that a job reads for its own: a stored one, or one that is made on the way."""
    if stage.is_joined and read_receipt(job.url_of(stage)) is None:
        return Joined(job, stage)
    return Upstream(job, stage)
