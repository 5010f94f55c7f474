"""One panorama's row in a block of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from flows.reading.absent import NotThere
from flows.reading.origin import Origin
from flows.stores.items import called
from flows.stores.lineage import trace_item
from storage.arrays import BlockReader
from storage.receipts import Receipt, block_url, read_dropped, read_receipt
from tasks.earlier import product, stage_read
from tasks.ingest.images.decode import Panorama
from tasks.ingest.panorama import load_panorama
from tasks.label.project import View, decode_cameras
from tasks.stage.grain import stands_for

VIEWS = "views"
"""The product that holds cameras."""


@dataclass(frozen=True, eq=False)
class StoredRow:
    """See :class:`flows.reading.labels.Kept`. ``origin`` finds the pipeline that made the block; it may read records of runs."""

    item: str
    stage: str
    root: str
    url: str
    receipt: Receipt
    slot: int
    origin: Callable[[], Origin]

    @property
    def version(self) -> str:
        """Fingerprint of the stage."""
        return self.receipt.fingerprint

    @property
    def about(self) -> Mapping[str, Any]:
        """What the block's receipt says of its outputs."""
        return self.receipt.about

    @property
    def figures(self) -> Mapping[str, Any]:
        """What the stage measured."""
        return self.receipt.items[self.slot].figures

    @cached_property
    def _reader(self) -> BlockReader:
        return BlockReader(self.url, self.receipt.files)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The stored arrays."""
        return self._reader.names

    def read(self, names: tuple[str, ...]) -> dict[str, NDArray]:
        """Arrays as they are stored. DamagedBlock if files of the block are gone or hold other bytes."""
        return self._reader.item(self.slot, names)

    def cameras(self) -> tuple[View, ...]:
        """The views that the stage, or one that it was made from, reads of the same block."""
        url = self._views(self.receipt)
        if url is None:
            raise NotThere(f"{self.item} has no views at {self.stage}: it was labelled in one look at the whole panorama")
        receipt = read_receipt(url)
        if receipt is None:
            raise NotThere(f"{self.item}: its views at {url} are gone; run the pipeline to make them again")
        return decode_cameras(BlockReader(url, receipt.files).item(self.slot, ("size", "fov", "rotation")))

    def _views(self, receipt: Receipt) -> str | None:
        """URL of the block of views that a block was made from."""
        for name, fingerprint in receipt.made.get("identity", {}).get("upstream", {}).items():
            url = block_url(self.root, stage_read(name), fingerprint, self.receipt.block)
            found = read_receipt(url) or read_dropped(url)
            if found is not None and product(found.stage, found.made) == VIEWS:
                return url
        return None

    def panorama(self) -> Panorama:
        """The panorama, decoded as the pipeline that labelled it decodes it. BadItem if its file is gone, or another."""
        step = self.origin().step
        block = next(one for one in step.blocks if self.receipt.block in stands_for(one))
        return load_panorama(block.items[self.slot], step.stage.panoramas.settings)

    def lineage(self) -> dict[str, Any]:
        """As ``panolabel trace --json`` tells it."""
        origin = self.origin()
        step = origin.step
        return trace_item(origin.config, called(origin.plan)(step.stage.panoramas.key, self.item), step.key)
