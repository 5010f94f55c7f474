"""A panorama that shows a band around the horizon stands in the middle of a whole one."""

import numpy as np
import pytest

from tasks.ingest.images.bands import vertical_degrees, whole_sphere
from tasks.ingest.images.decode import BadImage, decode_panorama, open_panorama
from tasks.ingest.settings import Ingest
from tests.support.datasets import png

BAND = np.random.default_rng(0).integers(0, 256, (25, 128, 3)).astype(np.uint8)
SETTINGS = Ingest(min_width=16)


def test_rows_keep_their_latitude() -> None:
    decoded = decode_panorama(png(BAND), SETTINGS, 70.3125)
    assert decoded.shape == (64, 128, 3)
    np.testing.assert_array_equal(decoded[19:44], BAND)
    assert not decoded[:19].any()
    assert not decoded[44:].any()
    latitude = (0.5 - (np.array([19, 43]) + 0.5) / 64) * 180
    assert np.abs(latitude).max() == pytest.approx(70.3125 / 2, abs=180 / 64)


def test_a_band_is_accepted_only_where_it_is_stated() -> None:
    with pytest.raises(BadImage, match="128x25 is not 2:1"):
        decode_panorama(png(BAND), SETTINGS)
    with pytest.raises(BadImage, match=r"128x25 is not 360:90 within ingest\.aspect_tolerance"):
        decode_panorama(png(BAND), SETTINGS, 90)


@pytest.mark.parametrize(
    ("metadata", "degrees"),
    [
        ({}, 180),
        ({"vertical_degrees": 70.3125}, 70.3125),
        ({"vertical_degrees": "70"}, 180),
        ({"vertical_degrees": True}, 180),
        ({"vertical_degrees": -1}, 180),
        ({"vertical_degrees": 200}, 180),
        ({"vertical_degrees": float("nan")}, 180),
    ],
)
def test_only_a_height_that_makes_sense_is_taken(metadata: dict, degrees: float) -> None:
    assert vertical_degrees(metadata) == degrees


def test_a_whole_panorama_stays_as_it_is() -> None:
    whole = np.arange(32 * 64).reshape(32, 64)
    np.testing.assert_array_equal(whole_sphere(whole), whole)
    assert whole_sphere(whole[:, :62]).shape == (32, 62), "within the tolerance of the aspect"


def test_the_mask_is_the_band_and_its_share_is_that_of_the_sphere() -> None:
    whole = open_panorama(png(BAND), SETTINGS, 70.3125)
    rows = whole.observed.any(axis=1)
    height = len(rows)
    assert whole.observed[rows].all()
    assert (whole.pixels[~whole.observed] == 0).all()
    # Between the latitudes -a and a lies sin(a) of a sphere.
    half = rows.sum() / height * np.pi / 2
    assert abs(whole.share_observed - np.sin(half)) < 1e-3
    assert open_panorama(png(np.full((64, 128, 3), 9, np.uint8)), SETTINGS).share_observed == 1.0
