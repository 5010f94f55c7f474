import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.cameras import Camera
from geometry.directions import erp_directions
from geometry.resampling import backproject
from geometry.resampling.backproject import backprojection, build_backprojection, by_band, view_weight

angles = st.floats(-180, 180)


def dense(view: backproject.BackProjection) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Column, row, flat pixel and visibility of a back-projection on the full ERP."""
    shape = (view.height, view.width)
    column, row, pixel = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, -1)
    touched = np.zeros(shape, int)
    for box in view.boxes:
        at, seen = (box.rows, box.columns), view.seen(box)
        x, y = view.coordinates(box)
        column[at], row[at] = np.where(seen, x, np.nan), np.where(seen, y, np.nan)
        pixel[at] = np.where(seen, box.pixel, -1)
        touched[at] += 1
    assert touched.max() <= 1
    return column, row, pixel, pixel >= 0


@settings(max_examples=60, deadline=None)
@given(angles, st.floats(-90, 90), angles, st.floats(10, 150), st.integers(5, 90), st.integers(5, 90), st.integers(9, 130))
def test_agrees_with_the_camera_in_float64(yaw, pitch, roll, fov, width, height, rows):
    camera = Camera.looking(width, height, np.radians(fov), *np.radians([yaw, pitch, roll]))
    column, row, pixel, seen = dense(build_backprojection(camera, rows, 2 * rows))
    x, y, inside = camera.project(erp_directions(rows, 2 * rows))
    margin = np.minimum(np.minimum(np.abs(x), np.abs(width - x)), np.minimum(np.abs(y), np.abs(height - y)))
    assert not (seen != inside)[margin > 1e-3].any()
    both = seen & inside
    np.testing.assert_allclose(column[both], x[both], atol=2e-3)
    np.testing.assert_allclose(row[both], y[both], atol=2e-3)
    away = both & (margin > 1e-3) & (np.abs(x - np.round(x)) > 2e-3) & (np.abs(y - np.round(y)) > 2e-3)
    np.testing.assert_array_equal(pixel[away], (np.floor(y) * width + np.floor(x))[away])
    assert pixel.max(initial=0) < width * height


@pytest.mark.parametrize(("yaw", "pitch"), [(180, 0), (0, 90), (0, -90), (-170, 60)])
def test_seam_and_poles_are_seen_whole(yaw, pitch):
    camera = Camera.looking(64, 64, np.radians(90), np.radians(yaw), np.radians(pitch))
    view = build_backprojection(camera, 256, 512)
    inside = camera.project(erp_directions(256, 512))[2]
    assert (dense(view)[3] == inside).all()
    assert sum(box.pixel.size for box in view.boxes) < 2.5 * inside.sum()


def test_offsets_stay_within_half_a_pixel():
    view = build_backprojection(Camera.looking(100, 80, 1.2, 0.3, -0.4, 0.5), 256, 512)
    for box in view.boxes:
        assert np.abs(box.dx).max() <= 0.5
        assert np.abs(box.dy).max() <= 0.5
        assert box.nearness.min() >= 1 / 16 - 1e-6


def test_cache_returns_the_same_object_and_stays_bounded(monkeypatch):
    backproject.clear_cache()
    camera = Camera.looking(32, 32, 1.5)
    first = backprojection(camera, 128, 256)
    assert backprojection(camera, 128, 256) is first
    monkeypatch.setattr(backproject, "CACHE_BYTES", 3 * first.nbytes)
    for k in range(8):
        backprojection(Camera.looking(32, 32, 1.5, 0.1 * k + 0.05), 128, 256)
    assert sum(one.nbytes for one in backproject._cache.values()) <= 3 * first.nbytes
    assert backprojection(camera, 128, 256) is not first
    backproject.clear_cache()


def test_bands_cover_the_rows_and_refuse_mixed_sizes():
    camera = Camera.looking(16, 16, 1.0)
    views = [build_backprojection(camera, 100, 200), build_backprojection(camera, 64, 128)]
    bands = by_band(views[:1])
    assert [rows.start for rows, _ in bands] == [0, 32, 64, 96]
    assert bands[-1][0].stop == 100
    with pytest.raises(ValueError, match="one ERP size"):
        by_band(views)


def test_view_weight_is_cosine_power_times_feather():
    camera = Camera.looking(64, 48, np.radians(100))
    cosine = camera.rays()[..., 2]
    np.testing.assert_allclose(view_weight(camera, 3, 0), cosine**3, rtol=1e-5)
    feathered = view_weight(camera, 0, 0.5)
    np.testing.assert_allclose(feathered[24, :12], (np.arange(12) + 0.5) / 12, rtol=1e-5)
    assert feathered[24, 32] == 1
    assert feathered.min() > 0
