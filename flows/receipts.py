"""The receipts of a pipeline's stages, each read once a run: what was read is kept, and so is what blocks return."""

from __future__ import annotations

from collections.abc import Mapping

from storage.items import Block
from storage.receipts import (
    Receipt,
    as_stored,
    block_url,
    existing_receipts,
    read_dropped,
    read_receipt,
    read_receipts,
    receipt_files,
)
from tasks.stage.kind import Stage, Step
from tasks.stage.late import is_foreseen


class Receipts:
    """Receipts by store, stage, fingerprint and block.

    What is known is as the store was when it was read: a stage that was listed has no receipts but those that were there, and
    those that came since by :meth:`keep`. Whoever else may have changed the store says so by :meth:`forget`.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], dict[str, Receipt]] = {}
        self._listed: set[tuple[str, str, str]] = set()
        self._sampled: dict[tuple[str, str, str], dict[str, Receipt]] = {}
        self._unread: dict[tuple[str, str, str], list[str]] = {}
        self._others: dict[tuple[str, str, str, str], Receipt | None] = {}
        self._dropped: set[tuple[str, str, str, str]] = set()

    def existing(self, stage: Stage) -> set[str]:
        """Names of the blocks of a stage that exist; all of its receipts are read at the first call."""
        place = _place(stage)
        if place not in self._listed:
            found = existing_receipts(*place)
            self._kept[place] = {**found, **self._kept.get(place, {})}
            self._listed.add(place)
        return set(self._kept[place])

    def found(self, stage: Stage) -> Mapping[str, Receipt]:
        """The receipts of all blocks of a stage that exist, by block, whether of this plan or not."""
        self.existing(stage)
        return self._kept[_place(stage)]

    def get(self, stage: Stage, block: str) -> Receipt | None:
        """The receipt of a block, or None if it has none."""
        return self._read(stage, [block])[0]

    def in_list(self, stage: Stage, block: str) -> Receipt | None:
        """:meth:`get` for whoever asks for all blocks of a stage, one after the other: they are read together."""
        return self.found(stage).get(block)

    def of(self, step: Step) -> list[tuple[Block, Receipt]]:
        """The finished blocks of a stage, in its order; none of which it is not known any more what they hold."""
        found = self._read(step.stage, [block.name for block in step.blocks])
        return [(block, one) for block, one in zip(step.blocks, found, strict=True) if one and not is_foreseen(block)]

    def sample(self, root: str, stage: str, fingerprint: str, most: int) -> list[Receipt]:
        """The first receipts of any stage that is in a store, whether of this plan or not, as they were when first asked for."""
        place = (root, stage, fingerprint)
        if place in self._listed:
            return [self._kept[place][name] for name in sorted(self._kept[place])[:most]]
        if place not in self._sampled:
            self._sampled[place], self._unread[place] = {}, receipt_files(*place)
        found, unread = self._sampled[place], self._unread[place]
        while len(found) < most and unread:  # one that is torn hides no others
            names = [unread.pop(0) for _ in range(min(most - len(found), len(unread)))]
            read = read_receipts([block_url(*place, name) for name in names])
            found |= {receipt.block: receipt for receipt in read if receipt}
        return list(found.values())[:most]

    def at(self, root: str, stage: str, fingerprint: str, block: str) -> Receipt | None:
        """The receipt of any block of a store, its data may be dropped; None if it has none. Read once."""
        place = (root, stage, fingerprint)
        found = self._kept.get(place, {}).get(block) or self._sampled.get(place, {}).get(block)
        if found is None and (*place, block) not in self._others:
            url = block_url(*place, block)
            self._others[*place, block] = read_receipt(url) or read_dropped(url)
        return found or self._others.get((*place, block))

    def drop(self, stage: Stage, block: str) -> None:
        """Note that the data of a block was dropped; its receipt tells what there was."""
        self._dropped.add((*_place(stage), block))

    def with_data(self, step: Step) -> list[tuple[Block, Receipt]]:
        """The finished blocks of a stage whose data was not dropped, in its order."""
        return [(block, receipt) for block, receipt in self.of(step) if (*_place(step.stage), block.name) not in self._dropped]

    def dropped(self, step: Step) -> list[Receipt]:
        """The receipts of a stage's blocks whose data was dropped, by this run or before."""
        there = {block.name for block, _ in self.with_data(step)} if not step.stage.keeps_data else None
        names = [block.name for block in step.blocks if there is not None and block.name not in there]
        return [receipt for name in names if (receipt := self.at(*_place(step.stage), name))]

    def keep(self, stage: Stage, receipt: Receipt) -> None:
        """Note the receipt of a block that was just made."""
        if (stored := as_stored(receipt)) is not None:
            self._kept.setdefault(_place(stage), {})[receipt.block] = stored
            self._dropped.discard((*_place(stage), receipt.block))

    def forget(self) -> None:
        """Know nothing any more: somebody else may have made, withdrawn or removed receipts."""
        self._kept.clear()
        self._listed.clear()
        self._sampled.clear()
        self._unread.clear()
        self._others.clear()

    def _read(self, stage: Stage, blocks: list[str]) -> list[Receipt | None]:
        kept = self._kept.setdefault(_place(stage), {})
        unknown = [] if _place(stage) in self._listed else [block for block in blocks if block not in kept]
        for block, receipt in zip(unknown, read_receipts([stage.block_url(block) for block in unknown]), strict=True):
            if receipt:
                kept[block] = receipt
        return [kept.get(block) for block in blocks]


def _place(stage: Stage) -> tuple[str, str, str]:
    return stage.root, stage.name, stage.identity.fingerprint
