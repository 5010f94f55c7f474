"""Packed masks count the same pixels as booleans do."""

import numpy as np
import pytest

from metrics.seamless.objects import Objects, intersections, no_objects, overlaps, pack, restrict


@pytest.mark.parametrize("shape", [(7, 9), (1, 64), (5, 130), (16, 16)])
def test_intersections_are_those_of_booleans(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(shape[1])
    one = generator.random((5, *shape)) < generator.random((5, 1, 1)) ** 3
    other = generator.random((4, *shape)) < generator.random((4, 1, 1)) ** 3
    one[2], other[1] = False, False
    one[3, :, : shape[1] // 2] = False
    wanted = generator.random((5, 4)) < 0.8
    expected = np.einsum("nhw,mhw->nm", one.astype(int), other.astype(int)) * wanted
    np.testing.assert_array_equal(intersections(pack(one), pack(other), wanted), expected)
    region = generator.random(shape) < 0.5
    np.testing.assert_array_equal(overlaps(pack(one), region), (one & region).sum(axis=(1, 2)))
    np.testing.assert_array_equal(
        intersections(restrict(pack(one), region), pack(other), wanted),
        np.einsum("nhw,mhw->nm", (one & region).astype(int), other.astype(int)) * wanted,
    )


def test_no_objects_and_no_pixels() -> None:
    nobody = no_objects(4, 6)
    assert len(nobody) == 0
    assert nobody.areas.shape == (0,)
    assert intersections(nobody.packed, pack(np.ones((2, 4, 6), bool)), np.ones((0, 2), bool)).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"masks": np.zeros((2, 4), bool)}, "masks must be"),
        ({"masks": np.zeros((2, 4, 4))}, "masks must be"),
        ({"classes": np.zeros(3, int)}, "classes must have one entry"),
        ({"scores": np.array([0.5, np.nan])}, "scores must be finite"),
        ({"crowd": np.zeros(1, bool)}, "crowd must have one entry"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Objects(**{"masks": np.zeros((2, 4, 4), bool), "classes": np.zeros(2, int), **change})
