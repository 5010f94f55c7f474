"""Row weights against solid angles; bands and crops against counts."""

import numpy as np
import pytest

from geometry.directions import erp_area_weights
from metrics.weights import LATITUDE_BANDS, area_mean, band_rows, kept_rows, row_weights


def test_area_weights_are_proportional_to_solid_angle():
    edges = np.linspace(np.pi / 2, -np.pi / 2, 65)
    exact = np.sin(edges[:-1]) - np.sin(edges[1:])
    weights = row_weights(64, True)
    np.testing.assert_allclose(weights / weights.sum(), exact / exact.sum(), rtol=1e-9)
    np.testing.assert_array_equal(row_weights(64, False), np.ones(64))


@pytest.mark.parametrize("height", [6, 64, 255])
def test_bands_take_every_row_once(height):
    bands = band_rows(height)
    assert list(bands) == list(LATITUDE_BANDS)
    np.testing.assert_array_equal(sum(rows.astype(int) for rows in bands.values()), 1)


def test_bands_have_the_share_of_rows_they_span():
    counts = {name: int(rows.sum()) for name, rows in band_rows(180).items()}
    assert counts == {"0-30": 60, "30-60": 60, "60-75": 30, "75-90": 30}


@pytest.mark.parametrize(("height", "crop", "cut"), [(1024, 0.14, 143), (2048, 0.15, 307), (64, 0.0, 0)])
def test_pole_crop_takes_the_published_rows(height, crop, cut):
    rows = kept_rows(height, crop)
    assert rows.sum() == height - 2 * cut
    np.testing.assert_array_equal(rows, rows[::-1])


def test_a_mean_is_by_solid_angle_over_what_was_judged():
    values = np.zeros((64, 128))
    values[:16] = 1
    judged = np.ones((64, 128), bool)
    judged[32:] = False
    area = erp_area_weights(64)
    assert area_mean(values, judged) == pytest.approx(area[:16].sum() / area[:32].sum())
    assert area_mean(values, np.zeros((64, 128), bool)) is None
