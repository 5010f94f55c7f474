"""Data that a store keeps only until it was read (``keep: until_read``) goes once the last block that reads it is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from flows.plan import Plan
from flows.running.schedule import Key, Work
from storage.receipts import drop_data
from tasks.stage.grain import read_blocks
from tasks.stage.kind import Stage, stages_read


class Dropping:
    """Knows who reads each block of a plan's stages whose data goes then."""

    def __init__(self, plan: Plan) -> None:
        self._receipts = plan.receipts
        self._readers: Mapping[Key, list[tuple[Stage, str]]] = defaultdict(list)
        for step in [one for one in plan.steps if not one.stage.is_joined]:
            for read in [one for one in stages_read(step.stage) if not one.keeps_data]:
                for block in step.blocks:
                    for name in read_blocks(step.stage, block, read):
                        self._readers[read.identity.fingerprint, name].append((step.stage, block.name))

    def made(self, work: Work) -> None:
        """A block is made: drop what it has read last."""
        for read in [one for one in stages_read(work.step.stage) if one.owes and not one.keeps_data]:
            for name in read_blocks(work.step.stage, work.block, read):
                readers: Sequence[tuple[Stage, str]] = self._readers[read.identity.fingerprint, name]
                if all(self._receipts.get(stage, block) for stage, block in readers):
                    drop_data(read.block_url(name))
                    self._receipts.drop(read, name)
