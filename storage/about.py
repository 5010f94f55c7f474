"""What finished blocks say of their outputs to whoever reads many of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from storage.receipts import Receipt


class Contradiction(ValueError):
    """Blocks that should be alike are not; the message names both and what they say."""


def common_about(receipts: Iterable[Receipt]) -> dict[str, Any]:
    """What all blocks with a finished item say of their outputs; nothing if there is no such block.

    A block whose items were all given up says nothing of any output, whatever stands in its receipt. A key that some blocks lack
    is that of the others.

    Raises
    ------
    Contradiction
        Two blocks say different things under one key.
    """
    found: dict[str, Any] = {}
    said_by: dict[str, Receipt] = {}
    for receipt in receipts:
        if not any(row.state == "done" for row in receipt.items):
            continue
        for key, value in receipt.about.items():
            if key in found and found[key] != value:
                first = said_by[key]
                raise Contradiction(
                    f"stage {receipt.stage}: blocks contradict each other, {first.block} says {key} = {_short(found[key])}, "
                    f"{receipt.block} says {_short(value)}; remove the receipt.json of the wrong one and run again"
                )
            found[key], said_by[key] = value, said_by.get(key, receipt)
    return found


def refuse_other_arrays(first: Mapping[str, Any], other: Mapping[str, Any], where: str) -> None:
    """Raise Contradiction if arrays differ from the first ones in name, dtype or shape; ``where`` says whose the others are."""
    wanted, found = ({name: f"{array.dtype}{array.shape}" for name, array in one.items()} for one in (first, other))
    if wanted != found:
        differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        name = differing[0]
        its, others = found.get(name, "missing"), wanted.get(name, "missing")
        raise Contradiction(
            f"{where}: its array {name} is {its}, that of panoramas before it {others}; remove its block's receipt"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
