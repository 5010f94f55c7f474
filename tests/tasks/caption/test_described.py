"""Sentences say what labels say: against a sphere whose shares and distances are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.caption.described import describe
from tasks.caption.settings import Words
from tasks.caption.surroundings import SIDES, Surroundings, surroundings

CLASSES = ("sky", "wall;brick", "floor, flooring")


def labels(height: int = 180) -> dict[str, np.ndarray]:
    """Sky above 30 degrees, floor below the horizon, and between them a wall that is 2 m away ahead and 4 m elsewhere."""
    latitude = 90 - (np.arange(height) + 0.5) * 180 / height
    rows = np.where(latitude > 30, 0, np.where(latitude > 0, 1, 2))
    semantics = np.repeat(rows[:, None], 2 * height, axis=1).astype(np.uint8)
    depth = np.where(semantics == 2, 1.5, 4.0).astype(np.float16)
    ahead = slice(height - height // 4, height + height // 4)
    depth[:, ahead][semantics[:, ahead] == 1] = 2.0
    return {
        "semantics": semantics,
        "semantics_valid": np.ones_like(semantics, bool),
        "depth": depth,
        "depth_valid": semantics > 0,
    }


def test_shares_are_those_of_the_sphere() -> None:
    """The cap above a latitude has (1 - sin) / 2 of the sphere."""
    found = surroundings([labels(), labels()], CLASSES, metric=True)
    assert found.sky == pytest.approx(0.25, abs=1e-4)
    assert dict(found.classes) == pytest.approx({"floor": 0.5, "sky": 0.25, "wall": 0.25}, abs=1e-4)
    assert next(iter(found.classes)) == "floor"
    assert found.sides["above"] == ("sky",)
    assert found.sides["below"] == ("floor",)
    assert found.sides["behind"][:2] == ("floor", "wall")
    assert found.nearest["above"] is None, "the sky has no distance"
    assert found.distances is not None
    assert found.distances[2] == pytest.approx(4.0)


def test_invalid_labels_count_for_nothing() -> None:
    one = labels()
    one["semantics_valid"][:, :180] = False
    half = surroundings([one], CLASSES, metric=False)
    assert half.classes["floor"] == pytest.approx(0.5, abs=1e-4)
    assert half.sides["to the left"] == ()
    assert half.distances is None, "numbers that are no metres say nothing"


def test_texts_have_the_words_that_are_wanted() -> None:
    lengths = Words().ranges
    texts = describe(surroundings([labels()], CLASSES, metric=True), lengths)
    assert texts["short"] == "A 360-degree view of an outdoor place with floor, wall and sky."
    assert "Of all that is seen, floor 50 percent, " in texts["medium"]
    assert "between 1.5 and 4.0 metres away" in texts["medium"]
    assert "To the right the camera sees floor" in texts["long"]
    for name, (least, most) in lengths.items():
        assert least <= len(texts[name].split()) <= most


@pytest.mark.parametrize(
    ("sky", "place"), [(None, "a place"), (0.0, "an indoor place"), (0.03, "a place"), (0.2, "an outdoor place")]
)
def test_where_it_is_follows_from_the_sky(sky: float | None, place: str) -> None:
    found = Surroundings({"wall": 1.0}, dict.fromkeys(SIDES, ()), {}, None, sky)
    assert f"view of {place} with wall" in describe(found, {"short": (1, 30)})["short"]
