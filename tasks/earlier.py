"""Stores that panolabel 0.1 wrote: what their receipts and records do not say, or say in other words than today's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LABELS = "labels"
FUSED = "fuse"
PRODUCTS = {FUSED: LABELS, "project": "views", "train": "model", "adapt": "model"}
LABELS_OF_A_TRAINING = re.compile(r"labels \d+ \(.*\)")
"""What trainings called fused labels of other stores in their identities, before they were stages."""


def stage_read(name: str) -> str:
    """The stored name of a stage by its name in an identity's ``upstream``, where a second one of a name has its key."""
    return FUSED if LABELS_OF_A_TRAINING.fullmatch(name) else name.partition(" (")[0]


def product(stage: str, made: Mapping[str, Any]) -> str:
    """What a stage gives, by its stored name and what a receipt tells of its making; empty where that did not say."""
    return str(made.get("gives") or PRODUCTS.get(stage, ""))


def sources(record: Mapping[str, Any]) -> list[str]:
    """URLs of the sources of a run."""
    return list(record["sources"] if "sources" in record else [record["config"].get("source", {}).get("url", "")])


def blocks(record: Mapping[str, Any]) -> list[str]:
    """Names of the blocks of panoramas of a run, of all sources."""
    told = record.get("blocks") or []
    return [name for names in told.values() for name in names] if isinstance(told, Mapping) else list(told)
