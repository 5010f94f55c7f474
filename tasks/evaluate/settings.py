"""What the stages that judge labels may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from configs.settings import APART, Settings


class Evaluate(Settings):
    """Which figures the report shows."""

    protocol: str = "panolabel"
    """Name of an evaluation protocol in metrics/protocols.py."""


class Audit(Settings):
    """Where the labels' error comes from, split by direction, distance and class; see docs/audit.md."""

    items: Annotated[int, Field(ge=0), APART] = 8
    """Worst panoramas to show with reasons and pictures."""
