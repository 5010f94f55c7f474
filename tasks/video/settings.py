"""What the stage ``frames`` may say: which frames of a clip become panoramas, and how large."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from configs.settings import Settings
from tasks.ingest.stored import StoredPanoramas


class Rate(Settings):
    """Frames at regular times: those that are shown 0, 1 / hertz, 2 / hertz, ... seconds after the first."""

    kind: Literal["rate"] = "rate"
    hertz: float = Field(4.0, gt=0, le=1000)


class Times(Settings):
    """The frames that are shown at times, in seconds after the first."""

    kind: Literal["times"]
    seconds: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)


class Drawn(Settings):
    """Frames that are drawn at random, each at most once; other clips have other draws, the same clip always the same."""

    kind: Literal["random"]
    count: int = Field(ge=1)
    seed: int = 0


Sampling = Annotated[Rate | Times | Drawn, Field(discriminator="kind")]


class Frames(StoredPanoramas):
    """The stage that takes panoramas from clips."""

    sampling: Sampling = Rate()
    """Which frames: ``{kind: rate, hertz: 4}``, ``{kind: times, seconds: [0, 2.5]}`` or ``{kind: random, count: 8, seed: 0}``."""
    height: int = Field(1024, ge=8, le=8192)
    """Rows of the panoramas; they are twice as wide."""

    @field_validator("height")
    @classmethod
    def _even(cls, height: int) -> int:
        if height % 2:
            raise ValueError(f"must be even so that the poles join, got {height}; use {height + 1}")
        return height
