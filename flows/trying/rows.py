"""Where the rows of items lie in a store: in blocks that hold panoramas as they are now, under any fingerprint of a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from numpy.typing import NDArray

from configs.pipeline import Config
from flows.plan import Plan
from flows.reading.versions import versions_of
from storage.arrays import BlockReader
from storage.items import Block, Item
from storage.receipts import Receipt, block_url, existing_receipts
from storage.records.runs import latest_run
from storage.rows import ItemRow
from tasks.stage.kind import Step
from tasks.stage.upstream import sound_arrays


@dataclass(frozen=True, eq=False)
class Row:
    """The row of an item in a finished block."""

    url: str
    block: Block
    receipt: Receipt
    slot: int

    @property
    def told(self) -> ItemRow:
        """What the receipt says of the item."""
        return self.receipt.items[self.slot]

    def arrays(self) -> dict[str, NDArray]:
        """The item's arrays, of the shapes that its stage stores; none where it stores none, or gave the item up."""
        if self.told.state != "done" or not self.receipt.files:
            return {}
        return sound_arrays(self.url, self.receipt, BlockReader(self.url, self.receipt.files), self.slot)


@dataclass(frozen=True, eq=False)
class Items:
    """The items of a stage as they are now, and the blocks that hold them."""

    step: Step

    @cached_property
    def known(self) -> dict[str, tuple[Item, Block]]:
        """Every item by its name, with its block in the whole source."""
        return {item.item: (item, block) for block in self.step.blocks for item in block.items}

    @cached_property
    def _named(self) -> dict[str, Block]:
        return {block.name: block for block in self.step.blocks}

    def block(self, receipt: Receipt) -> Block | None:
        """The block that a receipt is of, a trial's too; None if its items, or what is known of them, are others by now."""
        names = [row.item for row in receipt.items]
        if receipt.block in self._named or not names or not all(name in self.known for name in names):
            return self._named.get(receipt.block)
        items = [self.known[name][0] for name in names]
        found = Block(items[0].block, tuple(items))
        return found if found.name == receipt.block else None

    def blocks_with(self, item: str, receipts: Mapping[str, Receipt]) -> Iterator[Block]:
        """The block of the whole source that has an item, then those of trials that have a receipt."""
        own = self.known[item][1]
        yield own
        with_it = (receipt for receipt in receipts.values() if any(row.item == item for row in receipt.items))
        yield from (block for one in with_it if (block := self.block(one)) is not None and block is not own)

    def rows(self, fingerprint: str, receipts: Mapping[str, Receipt]) -> dict[str, Row]:
        """The rows under a fingerprint, by item; those in blocks of the whole source before those of trials."""
        stage = self.step.stage
        found: dict[str, Row] = {}
        for name in sorted(receipts, key=lambda one: one in self._named):
            if block := self.block(receipts[name]):
                url = block_url(stage.root, stage.name, fingerprint, name)
                found |= {item.item: Row(url, block, receipts[name], slot) for slot, item in enumerate(block.items)}
        return found


def stored_rows(config: Config, plan: Plan, items: Items) -> Iterator[dict[str, Row]]:
    """The rows that a store has of a stage, by item, version after version: first those of the fingerprint that the config says,
    then of the one that its last run went by, then of the others, the newest first."""
    stage = items.step.stage
    yield items.rows(stage.identity.fingerprint, plan.receipts.found(stage))
    record = latest_run(config.root, config.name, trials=False) or {}
    last = record.get("identities", {}).get(stage.key, {}).get("fingerprint")
    others = {one.identity.fingerprint for one in plan.definitions}  # of stages alike under other keys, and its own
    known = [one.fingerprint for one in versions_of(stage.root, stage.name) if one.fingerprint not in others]
    for fingerprint in sorted(known, key=lambda one: one != last):
        yield items.rows(fingerprint, existing_receipts(stage.root, stage.name, fingerprint))
