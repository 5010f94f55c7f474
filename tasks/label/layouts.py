"""Which views may be cut from a panorama."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from configs.settings import Degrees, Settings


class Cubemap(Settings):
    kind: Literal["cubemap"]
    fov_degrees: float = Field(96.0, ge=90, lt=180)
    """More than 90 makes neighbouring faces overlap."""


class Icosahedron(Settings):
    kind: Literal["icosahedron"]
    fov_degrees: float = Field(90.0, ge=60, lt=180)


class Rings(Settings):
    kind: Literal["rings"]
    pitches_degrees: tuple[Degrees, ...] = (0.0,)
    views_per_ring: int = Field(8, ge=1)
    poles: bool = True
    """Add one view straight up and one straight down."""
    fov_degrees: float = Field(90.0, gt=0, lt=180)


class Random(Settings):
    kind: Literal["random"]
    count: int = Field(32, ge=1)
    seed: int = 0
    """Views differ from item to item: the generator is seeded with this and the item's digest."""
    fov_degrees: tuple[float, float] = (80.0, 120.0)
    pitch_degrees: tuple[Degrees, Degrees] = (-90.0, 90.0)

    @model_validator(mode="after")
    def _ordered(self) -> Random:
        for name in ("fov_degrees", "pitch_degrees"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: the range starts above its end ({low} > {high}); swap the two numbers")
        return self


class View(Settings):
    yaw_degrees: Degrees
    pitch_degrees: Degrees
    roll_degrees: Degrees = 0.0
    fov_degrees: float = Field(90.0, gt=0, lt=180)


class ViewList(Settings):
    kind: Literal["list"]
    views: tuple[View, ...] = Field(min_length=1)


class WholeSphere(Settings):
    """One view of all directions, in ``patch_size`` rows and twice as many columns, for teachers that see a panorama at once."""

    kind: Literal["sphere"]


Layout = Annotated[Cubemap | Icosahedron | Rings | Random | ViewList | WholeSphere, Field(discriminator="kind")]
