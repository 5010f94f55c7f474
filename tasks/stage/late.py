"""Blocks whose items follow from what an earlier stage finds in pixels: their names are known before, their items after.

So a plan has all blocks, and a run all edges, before anything is decoded; how many items there will be is foreseen until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from storage.items import Block
from storage.receipts import Receipt, read_receipt
from tasks.stage.kind import Stage, Step
from tasks.stage.plain import Found


def stored(stage: Stage, block: str) -> Receipt | None:
    """The receipt as the store has it now."""
    return read_receipt(stage.block_url(block))


@dataclass(frozen=True)
class LateBlock(Block):
    """A block that is ``called`` as the one that it comes from, whatever its items.

    While ``of`` is there these are foreseen: about as many as there will be, once the stage ``by`` can tell them from that block.
    """

    called: str = ""
    of: Block | None = field(default=None, repr=False, compare=False)
    by: Stage | None = field(default=None, repr=False, compare=False)

    @cached_property
    def name(self) -> str:
        """That of the block it comes from."""
        return self.called


def is_foreseen(block: Block) -> bool:
    """Whether the items of a block are not known yet."""
    return isinstance(block, LateBlock) and block.of is not None


def as_known(block: Block, found: Found) -> Block:
    """A block with its items, if they can be told by now."""
    if not isinstance(block, LateBlock) or block.of is None or block.by is None or block.by.kind.derive is None:
        return block
    return block.by.kind.derive(block.by, block.of, found)


def steps_as_known(steps: Sequence[Step], found: Found) -> tuple[Step, ...]:
    """Stages with the items of their blocks, as far as they can be told by now; each block of theirs is told once."""
    known: dict[int, Block] = {}

    def told(block: Block) -> Block:
        if id(block) not in known:
            known[id(block)] = as_known(block, found)
        return known[id(block)]

    return tuple(
        Step(step.stage, tuple(map(told, step.blocks))) if any(map(is_foreseen, step.blocks)) else step for step in steps
    )
