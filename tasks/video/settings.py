"""What the stages of video may say: how videos are cut, which frames of a clip become panoramas, and how large."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

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


class Register(Settings):
    """The stage that lists clips for whoever trains on them."""

    val: float = Field(0.05, ge=0, le=1)
    """Share of the groups whose clips are for validation; which they are hangs on each group's own name alone."""
    group: str = Field("video", min_length=1)
    """What stays together: ``video``, ``folder`` (of the video), or what the metadata say under another key."""
    licence: str = ""
    """Of videos whose metadata say no ``licence``."""


class Cut(Settings):
    """The stage that cuts videos into clips."""

    seconds: float = Field(5.0, gt=0, le=3600)
    """Length of a clip."""
    least: float = Field(4.5, ge=0)
    """Seconds that a clip has at least: the rest of a shot is one if it is as long, and a shorter shot gives none."""
    shot_score: float = Field(6.0, ge=0, le=100)
    """FFmpeg's score of scene changes (percent of white that pictures differ by all at once) from which a shot may begin; 100
    finds no shots."""
    shot_distance: float = Field(0.12, ge=0, le=1)
    """Share of the picture that must have another brightness, whatever moved or turned, where a shot begins."""
    flash_seconds: float = Field(0.3, ge=0)
    """What lasts no longer, and has alike pictures before and after it, is a flash and no shot."""
    still_noise: float = Field(0.0003, ge=0, le=1)
    """Mean difference, in shares of white, up to which a picture stands still."""
    most_still: float = Field(0.9, gt=0)
    """Share of a shot or clip that may stand still; above 1 all may."""
    look_seconds: float = Field(2.0, gt=0)
    """After so long in a shot, and then each time after four times as long, it is measured whether a frame is a panorama, by the
    limits of ``ingest``."""

    @model_validator(mode="after")
    def _least_fits(self) -> Cut:
        if self.least > self.seconds:
            raise ValueError(f"least: must be at most seconds = {self.seconds:g}, got {self.least:g}")
        return self
