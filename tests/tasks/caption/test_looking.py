"""Views of clips are right way up, and look where their labels say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.caption.looking import cameras_of, views_of
from tasks.caption.settings import Views

RED, BLUE = (255, 0, 0), (0, 0, 255)


def red_above_blue(height: int = 64) -> NDArray[np.uint8]:
    sphere = np.empty((height, 2 * height, 3), np.uint8)
    sphere[: height // 2], sphere[height // 2 :] = RED, BLUE
    return sphere


def test_what_is_above_is_above_in_every_view() -> None:
    views = views_of([red_above_blue()], [0.5], Views(width=40, height=30, zenith=True, nadir=True))
    assert [one.label for one in views] == [
        *(f"0.5 s, looking {where}" for where in ("ahead", "to the right", "behind", "to the left", "up", "down"))
    ]
    for view in views[:4]:
        assert view.pixels.shape == (30, 40, 3)
        assert (view.pixels[:13] == RED).all()
        assert (view.pixels[-13:] == BLUE).all()
    assert (views[4].pixels == RED).all()
    assert (views[5].pixels == BLUE).all()


def test_labels_say_where_views_look() -> None:
    """Pixels (column) of a sphere whose every eighth has its own grey, the fourth around longitude 0."""
    sphere = np.repeat(np.arange(8, dtype=np.uint8) * 30, 16)[None, :, None].repeat(64, 0).repeat(3, 2)
    views = views_of([np.roll(sphere, 8, axis=1)], [0.0], Views(width=40, height=30, yaws=8))
    middles = {one.label.removeprefix("0.0 s, looking "): int(one.pixels[15, 20, 0]) // 30 for one in views}
    names = ("ahead", "45 degrees to the right", "to the right", "135 degrees to the right", "behind", "225 degrees to the right")
    assert [middles[name] for name in names] == [3, 4, 5, 6, 7, 0]


def test_views_come_time_by_time() -> None:
    views = views_of([red_above_blue(), red_above_blue()], [0.5, 1.5], Views(width=16, height=16))
    assert [one.label[:5] for one in views] == ["0.5 s"] * 4 + ["1.5 s"] * 4
    assert len(cameras_of(Views(yaws=6, nadir=True))) == 7
