"""Captioners of a test's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.captioners.base import CaptionAnswer, Captioner, CaptionRequest, Usage

READS_FILE = "says"
"""Setting: a JSON file with what it says, one answer after the other, the last again and again; without it what it sees."""


@dataclass
class Seeing:
    """Says of what colour the upper and the lower rows of the views are, in as many words as are wanted."""

    said: list[str]
    model: str = "seeing-1.0"
    asked: list[CaptionRequest] = field(default_factory=list)

    def __call__(self, request: CaptionRequest) -> CaptionAnswer:
        self.asked.append(request)
        if self.said:
            return CaptionAnswer(self.said[min(len(self.asked), len(self.said)) - 1], usage=Usage(100, 10))
        words = [f"{place} {colour(rows)}" for view in request.views for place, rows in halves(view.pixels)]
        return CaptionAnswer(
            json.dumps({name: cut(words, *words_of) for name, words_of in request.lengths.items()}), usage=Usage(100, 10)
        )


def halves(pixels: np.ndarray) -> list[tuple[str, np.ndarray]]:
    middle = len(pixels) // 2
    return [("above", pixels[:middle]), ("below", pixels[middle:])]


def colour(pixels: np.ndarray) -> str:
    return ("red", "green", "blue")[int(np.argmax(pixels.mean(axis=(0, 1))))]


def cut(words: list[str], least: int, most: int) -> str:
    return " ".join(" ".join(words * least).split()[:most])


def load(settings: Mapping[str, Any], _device: str) -> Captioner:
    return Seeing(json.loads(Path(settings[READS_FILE]).read_text()) if READS_FILE in settings else [])
