"""Where the time of a block went: what it waited for, what its items took, and the quickest of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

SPENT = "spent"
"""What ``made`` of a receipt calls it."""
Part = Literal["input", "compute", "output"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass
class Spent:
    """Seconds of the thread that computes: waiting for ``input``, computing, and waiting until ``output`` is taken off it."""

    seconds: dict[Part, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    items: int = 0
    quickest: float = float("inf")

    @contextmanager
    def on(self, part: Part) -> Iterator[None]:
        """Within it time goes to a part; what was computed to its end counts as an item."""
        begin = time.perf_counter()
        try:
            yield
            if part == "compute":
                self.items += 1
                self.quickest = min(self.quickest, time.perf_counter() - begin)
        finally:
            self.seconds[part] += time.perf_counter() - begin

    def told(self) -> dict[str, Any]:
        """For the receipt; empty if no item was computed."""
        seconds = {part: round(value, 4) for part, value in self.seconds.items()}
        return {SPENT: {**seconds, "items": self.items, "quickest": round(self.quickest, 4)}} if self.items else {}
