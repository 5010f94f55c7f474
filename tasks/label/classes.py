"""Which classes a panorama's labels show, and which of a vocabulary no panorama ever showed.

A vocabulary that is shifted by one gives labels as sure as ever; what tells is that classes which must be there never come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from storage.receipts import Receipt

FIGURE = "classes"
"""Name of the figure in the receipts of the stage fuse."""


def class_shares(labels: Mapping[str, NDArray], classes: Sequence[str]) -> dict[str, float]:
    """Share of the pixels with semantics that each class has, by name, of those that occur; a class of instances alone has 0.

    Parameters
    ----------
    labels : ERP labels
        With ``semantics`` (H, W) uint8 or uint16 and ``semantics_valid`` (H, W) bool, ``instance_class`` (K,) uint16, or neither.
    classes : the vocabulary
    """
    counts = np.zeros(len(classes), np.int64)
    seen: set[int] = set()
    if "semantics" in labels:
        counts = np.bincount(labels["semantics"][labels["semantics_valid"]].ravel(), minlength=len(classes))[: len(classes)]
        seen |= set(np.flatnonzero(counts).tolist())
    if "instance_class" in labels:
        seen |= {int(label) for label in labels["instance_class"] if 0 <= label < len(classes)}
    total = max(int(counts.sum()), 1)
    return {classes[label]: round(float(counts[label] / total), 6) for label in sorted(seen)}


def never_seen(fused: Sequence[Receipt]) -> list[str]:
    """Classes of the vocabulary that no panorama of these blocks shows; empty where the blocks do not tell."""
    rows = [row for receipt in fused for row in receipt.items if row.state == "done" and FIGURE in row.figures]
    seen = {name for row in rows for name in row.figures[FIGURE]}
    return [name for name in (fused[0].about.get("classes") or ()) if name not in seen] if rows else []
