"""How long stages will take and how much they will store, from the receipts of earlier blocks."""

from __future__ import annotations

from statistics import median

from flows.receipts import Receipts
from storage.urls import children, join
from tasks.stage.kind import Stage

SAMPLE = 8
"""Receipts of each fingerprint that are looked at."""


def estimate(stage: Stage, items: int, receipts: Receipts) -> tuple[float | None, int | None]:
    """Seconds of work and bytes for some items, from the receipts of earlier blocks of the stage, or of one that does the same
    work, under any fingerprint; None where there are none."""
    if not items:
        return 0.0, 0
    seconds, sizes = _rates(stage.root, stage.name, stage.work, receipts)
    if not seconds and stage.like:
        seconds, sizes = _rates(stage.root, stage.like, stage.work, receipts)
    if not seconds:
        return None, None
    return round(median(seconds) * items, 1), int(median(sizes) * items)


def _rates(root: str, stage: str, work: int, receipts: Receipts) -> tuple[list[float], list[float]]:
    """Seconds (as if each item had taken so much work) and bytes of an item, block by block."""
    seconds, sizes = [], []
    for fingerprint in children(join(root, "stages", stage)):
        for receipt in receipts.sample(root, stage, fingerprint, SAMPLE):
            done = [row for row in receipt.items if row.state == "done"]
            if done:
                took = receipt.about.get("work")
                took = took if isinstance(took, int) and took > 0 else 1  # anything may stand in a store
                seconds.append(receipt.made["seconds"] / len(done) * work / took)
                sizes.append(receipt.bytes / len(done))
    return seconds, sizes
