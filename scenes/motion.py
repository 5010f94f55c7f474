"""Rigid motions over time: of a camera, and of things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import rotation_from_angles

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Rigid:
    """A rotation (3, 3) and then a shift (3,) in metres, float64: of a camera, from its frame to the world."""

    rotation: Array
    shift: Array

    def __call__(self, points: Array) -> Array:
        """Points (..., 3), moved."""
        return points @ self.rotation.T + self.shift

    def inverse(self) -> Rigid:
        """The motion back."""
        return Rigid(self.rotation.T, -self.rotation.T @ self.shift)

    def after(self, first: Rigid) -> Rigid:
        """This motion after another one."""
        return Rigid(self.rotation @ first.rotation, self.rotation @ first.shift + self.shift)


Motion = Callable[[float], Rigid]
"""Seconds -> where something is then, from where it is at rest."""


@dataclass(frozen=True)
class CameraPath:
    """A camera that starts at ``start`` (3,) looking along ``heading`` (radians about the vertical), and moves evenly.

    ``speed`` (m/s) is along ``course`` (radians, about the vertical); ``turn`` is in radians a second; ``shake`` is how far a
    hand tilts it, in radians, and a fifth of that number how far it sways, in metres.
    """

    start: tuple[float, float, float]
    heading: float
    course: float = 0.0
    speed: float = 0.0
    turn: float = 0.0
    shake: float = 0.0

    def __call__(self, seconds: float) -> Rigid:
        """Where the camera is: camera to world."""
        sway = self.shake * np.array([np.sin(7.1 * seconds), np.sin(9.7 * seconds + 1), np.sin(5.3 * seconds + 2)])
        along = np.array([np.sin(self.course), 0.0, np.cos(self.course)]) * self.speed * seconds
        rotation = rotation_from_angles(self.heading + self.turn * seconds + sway[0], sway[1], sway[2])
        return Rigid(rotation, np.array(self.start) + along + 0.2 * sway)


@dataclass(frozen=True)
class Swing:
    """A thing that goes to and fro about ``centre`` (3,), its place at rest, and turns about its own vertical as it goes.

    ``reach`` (3,) in metres is how far it goes each way in ``period`` seconds; ``turn`` in radians each way.
    """

    centre: tuple[float, float, float]
    reach: tuple[float, float, float]
    period: float
    turn: float = 0.0

    def __call__(self, seconds: float) -> Rigid:
        """Where the thing is: rest to world."""
        phase = float(np.sin(2 * np.pi * seconds / self.period))
        rotation, centre = rotation_from_angles(self.turn * phase, 0.0), np.array(self.centre)
        return Rigid(rotation, centre - rotation @ centre + phase * np.array(self.reach))
