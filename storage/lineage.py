"""Lineage: from one label back to the pixels, the weights, the settings and the code that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.credentials import mask_credentials
from storage.fingerprint import Identity
from storage.manifest import Block, Item
from storage.receipts import Receipt, block_url, read_dropped, read_receipt


@dataclass(frozen=True)
class Step:
    """What one stage did for one item, in the row ``row``; ``receipt`` is None where the block is still owed."""

    identity: Identity
    url: str
    row: str
    receipt: Receipt | None


def trace(root: str, item: Item, places: Sequence[tuple[Identity, Block]]) -> list[Step]:
    """The steps behind an item's labels, first stage first, from each stage and its block that was made of the item.

    A block without the item's own row has one row for all that was made at once of several panoramas, the item among them.
    """
    steps = []
    for identity, block in places:
        url = block_url(root, identity.stage, identity.fingerprint, block.name)
        row = item.item if item in block.items else block.items[0].item
        steps.append(Step(identity, url, row, read_receipt(url) or read_dropped(url)))
    return steps


def trace_as_json(item: Item, block: Block, steps: Sequence[Step]) -> dict[str, Any]:
    """The lineage as JSON values: source, then one entry a stage with all digests."""
    return {
        "item": item.item,
        "source": {
            "uri": mask_credentials(item.uri),
            "sha256": item.digest,
            "height": item.height,
            "width": item.width,
            "split": item.split,
            "metadata": item.metadata,
            "figures": item.figures,
        },
        "block": block.name,
        "slot": item.slot,
        "steps": [_step_as_json(step) for step in steps],
    }


def _step_as_json(step: Step) -> Mapping[str, Any]:
    entry: dict[str, Any] = {**step.identity.as_json(), "url": step.url, "state": "not run"}
    if step.receipt is not None:
        row = step.receipt.row(step.row)
        entry |= {
            "state": row.state,
            "reason": row.reason,
            "figures": row.figures,
            "made": step.receipt.made,
            "files": step.receipt.files,
        }
        del entry["made"]["identity"]
    return entry
