"""Captions as a row's figures hold them: what ``caption`` writes, and ``register`` and exports read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CAPTIONS = "captions"
"""What the stage gives."""


@dataclass(frozen=True)
class Captions:
    """The texts of a clip by length, the kind of captioner that wrote them, and its model if it has one."""

    texts: Mapping[str, str]
    kind: str
    model: str = ""

    def as_figures(self) -> dict[str, Any]:
        """Figures of a row."""
        return {"texts": dict(self.texts), "kind": self.kind, "model": self.model}

    @staticmethod
    def of(figures: Mapping[str, Any]) -> Captions:
        """The captions of :meth:`as_figures`."""
        return Captions(figures["texts"], figures["kind"], figures["model"])

    @property
    def key(self) -> str:
        """The model's name as PanoWorld's files have it: no dashes, ``p`` for points."""
        return (self.model or self.kind).rpartition("/")[2].replace("-", "").replace(".", "p")
