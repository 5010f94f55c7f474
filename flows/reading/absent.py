"""What is asked for and is not there: an error that is a KeyError for programs, and a sentence for people."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

MOST_TOLD = 12
"""Names that a sentence holds."""


class NotThere(KeyError):
    """An item, a stage, a version or an array that there is not; the message names the nearest, or what there is."""

    def __str__(self) -> str:
        return str(self.args[0])


def nearest_of(name: str, known: Sequence[str]) -> str:
    """The rest of a sentence about a name that is not among those known: the nearest one, or all of them if they are few."""
    nearest = difflib.get_close_matches(name, known, n=1)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    more = f" and {len(known) - MOST_TOLD} more" if len(known) > MOST_TOLD else ""
    return f"there are {', '.join(known[:MOST_TOLD])}{more}" if known else "there are none"
