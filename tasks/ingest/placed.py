"""Blocks of panoramas by name, for whoever is made of many of them, and is told the names alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from storage.credentials import HIDDEN
from storage.items import Block, blocks_of
from storage.receipts import read_receipt
from tasks.ingest import ingest
from tasks.stage.kind import Stage
from tasks.stage.late import stored


def panorama_blocks(stage: Stage, wanted: Sequence[str]) -> dict[str, Block]:
    """By name, the blocks of a stage's panoramas, those of trials too if they are among the ``wanted``."""
    known = _blocks(stage)
    return known | {block.name: block for block in _of_trials(stage, [name for name in wanted if name not in known])}


def _blocks(stage: Stage) -> dict[str, Block]:
    """By name, the blocks of a stage's panoramas: those of the manifest, or what was derived from these.

    The source is listed again only if its URLs hold what the manifest must not keep.
    """
    items = ingest.recorded(stage.origin).known
    if any(HIDDEN in uri for uri in items.each("uri")):
        items = ingest.scan(stage.origin).known
    own = [derived_block(stage, block) for block in blocks_of(items)]
    return {block.name: block for block in own}


def derived_block(stage: Stage, block: Block) -> Block:
    """The block of a stage's panoramas that comes from one of their source."""
    derive = stage.panoramas.kind.derive
    return derive(stage.panoramas, block, stored) if derive else block


def _of_trials(stage: Stage, names: Sequence[str]) -> Iterator[Block]:
    """Blocks of some panoramas only, which no manifest has: their receipts name the items, and these the block."""
    receipts = {name: receipt for name in names if (receipt := read_receipt(stage.block_url(name)))}
    scan = ingest.scan(ingest.as_read(stage.origin)) if receipts else None
    known = {one.item: one for group in (scan.known, scan.checked) for one in group} if scan else {}
    for name, receipt in receipts.items():
        read = dict.fromkeys(_taken_from(row.item, known) for row in receipt.items)
        read.pop("", None)
        block = derived_block(stage, Block(int(name.partition("-")[0]), tuple(known[item] for item in read)))
        if block.name == name:
            yield block


def _taken_from(item: str, known: Collection[str]) -> str:
    """The known item that an item is, or was taken from: frames are named below their clip or video. Empty if there is none."""
    while item and item not in known:
        item = item.rpartition("/")[0]
    return item
