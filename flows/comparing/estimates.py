"""How long stages will take and how much they will store, from the receipts of earlier blocks."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from flows.receipts import Receipts
from storage.receipts import Receipt
from storage.urls import children, join
from tasks.stage.kind import Stage

SAMPLE = 8
"""Receipts of each fingerprint that are looked at."""


def estimate(stage: Stage, items: int, receipts: Receipts, copied: int = 0) -> tuple[float | None, int | None]:
    """Seconds of work for some items, and bytes of these and of rows that are copied, from the receipts of earlier blocks of the
    stage, or of one that does the same work, under any fingerprint; None where there are none."""
    if not items + copied:
        return 0.0, 0
    seconds, sizes = _rates(stage.root, stage.name, stage.work, receipts)
    if not seconds and stage.like:
        seconds, sizes = _rates(stage.root, stage.like, stage.work, receipts)
    if not seconds:
        return None, None
    return round(median(seconds) * items, 1), int(median(sizes) * (items + copied))


def _rates(root: str, stage: str, work: int, receipts: Receipts) -> tuple[list[float], list[float]]:
    """Seconds (as if each item had taken so much work) and bytes of an item, block by block."""
    seconds, sizes = [], []
    for fingerprint in children(join(root, "stages", stage)):
        for receipt in measured(receipts.sample(root, stage, fingerprint, SAMPLE)):
            done = receipt.done
            took = receipt.about.get("work")
            took = took if isinstance(took, int) and took > 0 else 1  # anything may stand in a store
            seconds.append(receipt.made["seconds"] / (done - receipt.copied) * work / took)
            sizes.append(receipt.bytes / done)
    return seconds, sizes


def measured(receipts: Iterable[Receipt]) -> list[Receipt]:
    """The receipts that tell what making an item takes: those without copied rows; where there are none, those that have others
    too. All have items that were made."""
    made = [receipt for receipt in receipts if receipt.done > receipt.copied]
    return [receipt for receipt in made if not receipt.copied] or made
