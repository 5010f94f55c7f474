"""Blocks that stand for other blocks, so that what is made of a whole block or of all of them has a place, a name and a receipt.

Such a block has one item, whose metadata name the blocks that it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from storage.fingerprint import canonical_json, digest
from storage.items import Block, Item
from tasks.stage.job import Job
from tasks.stage.kind import Stage, upstream_names

ALL = "all panoramas"
"""The item of a block that stands for everything."""


def of_block(name: str) -> Block:
    """The block that stands for one block."""
    return Block(int(name.split("-")[0]), (_item(name, [name]),))


def of_all(names: Sequence[str]) -> Block:
    """The block that stands for all panoramas; its name changes with any of theirs."""
    return Block(0, (_item(ALL, names),))


@dataclass(frozen=True)
class _Called(Block):
    called: str = ""

    @cached_property
    def name(self) -> str:
        return self.called


def of_unknown(name: str) -> Block:
    """A block for everything, of which the name alone is known: what it was made of is its maker's business."""
    return _Called(0, (_item(ALL, ()),), name)


def _item(name: str, blocks: Sequence[str]) -> Item:
    contents = digest(canonical_json(list(blocks)))
    return Item(
        name, uri="", digest=contents, height=0, width=0, size=0, stamp="", block=0, slot=0, metadata={"blocks": list(blocks)}
    )


def stands_for(block: Block) -> list[str]:
    """Names of the blocks that a block stands for; a block of panoramas stands for itself."""
    first = block.items[0]
    return [block.name] if first.uri else list(first.metadata["blocks"])


def read_blocks(stage: Stage, block: Block, read: Stage) -> list[str]:
    """Names of the blocks of a stage that a block of another reads: those of its panoramas, or the one of all."""
    whole = stage.block_of(read, "")
    if whole:
        return [whole]
    own = stands_for(block)
    return [of_block(name).name for name in own] if read.kind.grain == "derived" and read.kind.derive is None else own


def blocks_behind(job: Job) -> list[str]:
    """Names of the blocks that the job's own block stands for."""
    return stands_for(job.block)


def waits_for_all(stage: Stage) -> bool:
    """Whether a stage, or one that it is made from, stands for everything: it begins once all panoramas are known."""
    return stage.kind.grain == "all" or any(waits_for_all(one) for one in upstream_names(stage.inputs).values() if one.owes)
