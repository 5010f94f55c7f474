"""What a stage left in the store, as whoever shows its results sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from configs.execution import Execution
from storage.about import common_about
from storage.items import Block, Item
from storage.receipts import Receipt
from storage.rows import ItemRow
from tasks.stage.kind import Stage

MadeBlock = tuple[str, Block, Receipt]
"""URL, block and receipt of a finished block."""


@dataclass(frozen=True, eq=False)
class Made:
    """A stage's finished blocks.

    Attributes
    ----------
    stage : Stage
    blocks : in order, those whose data is there; their receipts were read once for the whole run
    dropped : receipts of those whose data was dropped once it was read
    inputs : the stages that it reads, by the names of its inputs
    execution : how many pictures are wanted, and on which device
    given_up : panoramas of the source that it works on which were given up before they had a place in any block
    """

    stage: Stage
    blocks: tuple[MadeBlock, ...]
    inputs: Mapping[str, tuple[Made, ...]]
    execution: Execution
    dropped: tuple[Receipt, ...] = ()
    given_up: tuple[Item, ...] = ()

    @property
    def key(self) -> str:
        """What the file calls the stage."""
        return self.stage.key

    @property
    def settings(self) -> Any:
        """The stage's settings, of its kind's model."""
        return self.stage.settings

    @property
    def receipts(self) -> list[Receipt]:
        """The receipts of all blocks."""
        return [*(receipt for _, _, receipt in self.blocks), *self.dropped]

    @property
    def about(self) -> dict[str, Any]:
        """What all blocks with a finished item say of their outputs; Contradiction if they differ."""
        return common_about(self.receipts)

    def read(self, name: str) -> Made | None:
        """The one stage that is read under the name of an input; None where nothing is."""
        return next(iter(self.inputs.get(name, ())), None)

    def rows(self) -> Iterator[ItemRow]:
        """What became of every item."""
        for receipt in self.receipts:
            yield from receipt.items

    def done(self) -> Iterator[tuple[MadeBlock, int, Item, ItemRow]]:
        """Every item that was not given up, with its block and its slot there."""
        for made in self.blocks:
            for slot, (item, row) in enumerate(zip(made[1].items, made[2].items, strict=True)):
                if row.state == "done":
                    yield made, slot, item, row

    def block(self, name: str) -> MadeBlock | None:
        """A block by its name."""
        return next((made for made in self.blocks if made[1].name == name), None)
