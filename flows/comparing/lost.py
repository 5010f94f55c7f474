"""Panoramas of blocks to make of which nothing can be made: forgotten ones, and those whose file is gone and would be opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flows.receipts import Receipts
from flows.sources import Source
from storage.items import Block
from storage.records.forgotten import is_forgotten
from tasks.stage.job import Copies
from tasks.stage.kind import Stage, stages_read

Copied = Mapping[str, Copies]
"""By block, the rows of it that lie in others."""


class Lost:
    """Finds such panoramas of one stage after the other. One that is gone stays work where what is made of it is stored."""

    def __init__(self, sources: Sequence[Source], receipts: Receipts) -> None:
        self._gone = {source.key: source.left for source in sources}
        self._receipts = receipts
        self._found: dict[tuple[str, str], frozenset[str]] = {}

    def find(self, stage: Stage, to_make: Sequence[Block], copies: Copied) -> dict[str, frozenset[str]]:
        """Names of such panoramas, by block that a stage must make; those whose rows are copied are none."""
        left = self._gone.get(stage.origin.key, frozenset())
        own = to_make if left and stage.kind.grain == "block" else ()
        found = {block.name: frozenset(self._in(stage, block, copies.get(block.name, {}), left)) for block in own}
        self._found |= {(stage.key, name): lost for name, lost in found.items()}
        return found

    def _in(self, stage: Stage, block: Block, copies: Copies, left: frozenset[str]) -> Iterator[str]:
        for slot, item in enumerate(block.items):
            if slot not in copies and (is_forgotten(item) or (item.item in left and self._is_lost(stage, block, slot))):
                yield item.item

    def _is_lost(self, stage: Stage, block: Block, slot: int) -> bool:
        """Whether a stage, or one that is joined to it, opens the file, or what it reads was not made of it."""
        read = [one for one in stages_read(stage) if one.kind.grain == "block"]
        opens = any(_opens(one) for one in (stage, *(one for one in read if one.is_joined)))
        return opens or any(self._lacks(one, block, slot) for one in read)

    def _lacks(self, read: Stage, block: Block, slot: int) -> bool:
        receipt = None if read.is_joined else self._receipts.get(read, block.name)
        given_up = receipt is not None and receipt.items[slot].state != "done"
        return given_up or block.items[slot].item in self._found.get((read.key, block.name), ())


def _opens(stage: Stage) -> bool:
    return stage.kind.opens(stage.settings, stage.inputs)
