"""The versions of a stage that a store holds: one for each fingerprint, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from storage.receipts import Receipt, block_url, read_receipt, receipt_files
from storage.urls import children, join


@dataclass(frozen=True)
class Version:
    """One way in which a stage was made.

    Attributes
    ----------
    fingerprint : of the stage; names the version
    made : when its first block was made, UTC
    blocks : how many blocks there are
    current : whether it is what the config says now; false where there is no config
    """

    fingerprint: str
    made: datetime
    blocks: int
    current: bool = False


def versions_of(root: str, stage: str, current: str = "") -> list[Version]:
    """The versions of a stage with a block that can be read, the newest first; ``current`` is the fingerprint of a config.

    One receipt of each is read: the listing of a store stays quick.
    """
    found = []
    for fingerprint in children(join(root, "stages", stage)):
        names = receipt_files(root, stage, fingerprint)
        if receipt := first_receipt(root, stage, fingerprint, names):
            made = datetime.fromtimestamp(receipt.made.get("started", 0), UTC)
            found.append(Version(fingerprint, made, len(names), fingerprint == current))
    return sorted(found, key=lambda one: one.made, reverse=True)


def first_receipt(root: str, stage: str, fingerprint: str, names: list[str]) -> Receipt | None:
    """The first receipt among blocks that can be read, or None."""
    receipts = (read_receipt(block_url(root, stage, fingerprint, name)) for name in names)
    return next((receipt for receipt in receipts if receipt), None)
