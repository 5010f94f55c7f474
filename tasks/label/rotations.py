"""Which labellings there are: the layout's own views, and with ``label.rotations`` the same views turned by a yaw.

Each turned labelling of a teacher is a stage of its own (``label.dense.rotation1``), so one more of them runs just that one.
"""

from __future__ import annotations

import math

from geometry.layouts import turned
from geometry.spheres import View
from tasks.label.layouts import Cubemap, Icosahedron, Layout, Rings


def yaw_degrees(layout: Layout, rotation: int) -> float:
    """By how much the views are turned, in degrees; 0 for rotation 0.

    A layout looks the same after a turn by its period, which would tell nothing. So the period is halved, quartered, and so on
    (1/2, 1/4, 3/4, 1/8, ...): each turn is as far as can be from those before it, whatever comes after.
    """
    share, step = 0.0, 0.5
    while rotation:
        share, rotation, step = share + step * (rotation % 2), rotation // 2, step / 2
    return share * _period_degrees(layout)


def _period_degrees(layout: Layout) -> float:
    if isinstance(layout, Cubemap):
        return 90.0
    if isinstance(layout, Icosahedron):
        return 72.0
    return 360.0 / layout.views_per_ring if isinstance(layout, Rings) else 360.0


def rotated_views(cameras: tuple[View, ...], layout: Layout, rotation: int) -> tuple[View, ...]:
    """The cameras of a rotation: those that ``project`` stored, turned."""
    return turned(cameras, math.radians(yaw_degrees(layout, rotation))) if rotation else cameras


def fuse_work(rotations: int) -> int:
    """How much fusing so many rotations takes, in fusions of one labelling: all views together, and each labelling alone."""
    return 2 * (rotations + 1) if rotations else 1
