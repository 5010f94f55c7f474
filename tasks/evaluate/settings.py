"""What the stages that judge labels may say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from configs.settings import APART, Settings
from metrics.protocols import protocol_named


def _known(given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Names of protocols that are there; a list of one is that one, so that both say, and make, the same."""
    names = (given,) if isinstance(given, str) else given
    protocols = [protocol_named(name) for name in names]
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise ValueError(f"{twice[0]!r} stands twice; name each protocol once")
    if not protocols[0].is_judge:
        raise ValueError(f"{names[0]!r} asks for no truth, and stands after one that does: [panolabel, {names[0]}]")
    return names[0] if len(names) == 1 else names


class Evaluate(Settings):
    """Which figures the report shows."""

    protocol: Annotated[str | Annotated[tuple[str, ...], Field(min_length=1)], AfterValidator(_known)] = "panolabel"
    """Name of an evaluation protocol in metrics/protocols.py, or several: all figures are of the first, and a table has a row of
    each."""

    @property
    def protocols(self) -> Sequence[str]:
        """All names, the main one first."""
        return (self.protocol,) if isinstance(self.protocol, str) else self.protocol


class Audit(Settings):
    """Where the labels' error comes from, split by direction, distance and class; see docs/audit.md."""

    items: Annotated[int, Field(ge=0), APART] = 8
    """Worst panoramas to show with reasons and pictures."""
