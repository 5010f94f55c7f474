"""Blocks that stand for other blocks, so that what is made of a whole block or of all of them has a place, a name and a receipt.

Such a block has one item, whose metadata name the blocks that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from storage.arrays import BlockReader
from storage.fingerprint import canonical_json, digest
from storage.manifest import Block, Item
from storage.receipts import Receipt, block_url, read_receipt
from tasks.stage.block import BadItem, Job, Output, run_block


def of_block(name: str) -> Block:
    """The block that stands for one block."""
    return Block(int(name.split("-")[0]), (_item(name, [name]),))


def of_all(names: Sequence[str]) -> Block:
    """The block that stands for all panoramas; its name changes with any of theirs."""
    return Block(0, (_item("all panoramas", names),))


def _item(name: str, blocks: Sequence[str]) -> Item:
    contents = digest(canonical_json(list(blocks)))
    return Item(
        name, uri="", digest=contents, height=0, width=0, size=0, stamp="", block=0, slot=0, metadata={"blocks": list(blocks)}
    )


def stands_for(block: Block) -> list[str]:
    """Names of the blocks that a block stands for; a block of panoramas stands for itself."""
    first = block.items[0]
    return [block.name] if first.uri else list(first.metadata["blocks"])


def blocks_behind(job: Job) -> list[str]:
    """Names of the blocks that the job's own block stands for."""
    return stands_for(job.block)


def open_block(job: Job, stage: str, name: str) -> tuple[str, Receipt]:
    """URL and receipt of a finished block of an earlier stage.

    Raises
    ------
    RuntimeError
        It has no receipt, so it may not be read.
    """
    url = block_url(job.config.root, stage, job.identity.upstream[stage], name)
    receipt = read_receipt(url)
    if receipt is None:
        raise RuntimeError(f"{url}: has no receipt, so it may not be read; run again, which makes the stage {stage} first")
    return url, receipt


def read_items(job: Job, stage: str, name: str, *arrays: str) -> Iterator[tuple[str, dict[str, NDArray]]]:
    """Name and arrays (all, or those named) of every item of a block that was not given up, one at a time."""
    url, receipt = open_block(job, stage, name)
    reader = None
    for slot, row in enumerate(receipt.items):
        if row.state == "done":
            reader = reader or BlockReader(url, receipt.files)
            yield row.item, reader.item(slot, arrays or None)


def make_whole(
    job: Job, make: Callable[[], Output], about: Mapping[str, Any], weights: Mapping[str, str] | None = None, device: str = "cpu"
) -> Receipt:
    """:func:`tasks.stage.block.run_block` for a block that stands for others. It cannot be given up, so an error fails it."""
    for reason in job.given_up.values():
        raise RuntimeError(reason)

    def compute(_item: Item, _inputs: Any) -> Output:
        try:
            return make()
        except BadItem as error:
            raise RuntimeError(str(error)) from error

    return run_block(job, compute, about, weights, device=device)
