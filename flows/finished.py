"""The finished labels of a config: every fused block with its receipt, or a refusal that says what is owed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from numpy.typing import NDArray

from configs.schema import Config
from flows.plan import Plan, make_plan
from flows.stored import plan_if_listed
from storage.arrays import BlockReader
from storage.fingerprint import Identity
from storage.manifest import Block, Item
from storage.receipts import ItemRow, Receipt, block_url, damage, read_receipt


class NotFinished(ValueError):
    """Labels are owed, or damaged; the message says which and how to go on."""


@dataclass(frozen=True)
class Finished:
    """Fused blocks and their receipts, in the order of the manifest; ``owed`` counts the blocks that each stage still owes."""

    blocks: tuple[tuple[str, Block, Receipt], ...]
    fuse: Identity
    plan: Plan
    owed: Mapping[str, int]

    def rows(self) -> Iterator[tuple[Item, ItemRow]]:
        """Every panorama with what became of it."""
        for _, block, receipt in self.blocks:
            yield from zip(block.items, receipt.items, strict=True)

    def arrays(self) -> Iterator[Mapping[str, NDArray] | None]:
        """The stored labels of every panorama, None where it was given up. Each block's bytes are checked before they are read.

        Raises
        ------
        NotFinished
            A block's bytes are not those of its receipt.
        """
        for url, _, receipt in self.blocks:
            if problems := damage(url, receipt):
                raise NotFinished(f"{url}: {problems[0]}; run `panolabel verify --repair` with this config, then try again")
            reader = BlockReader(url) if receipt.files else None
            for slot, row in enumerate(receipt.items):
                yield reader.item(slot) if reader and row.state == "done" else None


def finished_labels(config: Config, allow_incomplete: bool = False, need_source: bool = True) -> Finished:
    """The fused blocks of a config that exist. Without ``need_source`` the manifest is enough where the source cannot be listed.

    Raises
    ------
    NotFinished
        A stage owes blocks and ``allow_incomplete`` is false, or there are no labels at all.
    """
    plan = make_plan(config) if need_source else plan_if_listed(config)
    owed = {stage.stage: stage.to_run for stage in plan.stages if stage.to_run}
    if owed and not allow_incomplete:
        told = ", ".join(f"{stage} {count}" for stage, count in owed.items())
        raise NotFinished(
            f"not all labels are finished; owed by stage: {told}. "
            "Finish them with `panolabel run`, or pass --allow-incomplete to take what is there"
        )
    fuse = next(stage.identity for stage in plan.definitions if stage.name == "fuse")
    urls = [(block_url(config.root, "fuse", fuse.fingerprint, block.name), block) for block in plan.blocks]
    blocks = tuple((url, block, receipt) for url, block in urls if (receipt := read_receipt(url)))
    if not any(row.state == "done" for _, _, receipt in blocks for row in receipt.items):
        raise NotFinished(f"no panorama has labels in {config.root}; make them with `panolabel run`")
    return Finished(blocks, fuse, plan, owed)
