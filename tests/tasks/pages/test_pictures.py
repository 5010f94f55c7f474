"""Pictures mean what their captions say."""

import numpy as np

from tasks.pages.pictures import (
    INVALID,
    confidence_picture,
    contact_sheet,
    depth_picture,
    depth_range,
    error_picture,
    normals_picture,
    palette,
    semantics_picture,
)

VALID = np.ones((4, 8), bool)


def test_invalid_pixels_are_grey_everywhere() -> None:
    valid = VALID.copy()
    valid[1, 2] = False
    values = np.linspace(1, 9, 32, dtype=np.float32).reshape(4, 8)
    labels = np.zeros((4, 8), np.uint8)
    for picture in (
        depth_picture(values, valid),
        normals_picture(np.ones((4, 8, 3), np.float32), valid),
        semantics_picture(labels, valid),
        confidence_picture(labels, valid),
        error_picture(values, values, valid),
        depth_picture(values, np.zeros_like(valid)),
    ):
        assert picture.dtype == np.uint8
        assert picture.shape == (4, 8, 3)
        assert tuple(picture[1, 2]) == INVALID


def test_near_is_red_and_far_is_blue() -> None:
    picture = depth_picture(np.geomspace(1, 50, 32).reshape(4, 8), VALID).astype(int)
    near, far = picture[0, 1], picture[-1, -2]
    assert near[0] > near[2]
    assert far[2] > far[0]


def test_normals_have_their_colours() -> None:
    normals = np.zeros((1, 3, 3), np.float32)
    normals[0, 0, 0], normals[0, 1, 1], normals[0, 2, 2] = 1, -1, -1  # right, up, backwards
    picture = normals_picture(normals, np.ones((1, 3), bool)).astype(int)
    for column in range(3):
        assert picture[0, column, column] == 255
        assert abs(np.delete(picture[0, column], column) - 128).max() <= 1


def test_classes_have_colours_of_their_own() -> None:
    colours = palette(24).astype(int)
    distance = np.abs(colours[:, None] - colours[None]).sum(-1) + 999 * np.eye(24)
    assert distance.min() > 20
    assert tuple(semantics_picture(np.full((4, 8), 5), VALID, 24)[0, 0]) == tuple(colours[5])


def test_no_colour_comes_twice() -> None:
    assert len(np.unique(palette(256), axis=0)) == 256
    np.testing.assert_array_equal(palette(256)[:24], palette(24))


def test_depth_range_is_in_metres_and_of_valid_pixels() -> None:
    depth = np.concatenate([np.linspace(1, 101, 1001), [1e6, np.nan]])
    valid = np.isfinite(depth) & (depth < 1e6)
    np.testing.assert_allclose(depth_range(depth, valid), [2, 100])


def test_a_wide_picture_has_a_scale_that_spares_the_rest() -> None:
    height, width = 256, 512
    depth = np.tile(np.geomspace(0.5, 20, width), (height, 1))
    valid = np.ones((height, width), bool)
    wide, narrow = depth_picture(depth, valid), depth_picture(depth[:, ::8], valid[:, ::8])
    np.testing.assert_array_equal(wide[0, ::8], wide[height // 2, ::8])
    assert not np.array_equal(wide[0], wide[-1])
    np.testing.assert_array_equal(narrow[0], narrow[-1])
    # Along the scale as along the picture: near is red on its left, far is blue on its right.
    row = wide[-(2 * (width // 42)) + 3].astype(int)
    redness = row[:, 0] - row[:, 2]
    assert redness.argmax() < redness[: width // 2].argmin()


def test_brighter_means_surer_and_more_wrong() -> None:
    ramp = np.linspace(0, 255, 32).astype(np.uint8).reshape(4, 8)
    sure = confidence_picture(ramp, VALID).astype(int) @ (299, 587, 114)
    assert sure[0, 0] < sure[2, 0] < sure[-1, -1]
    wrong = error_picture(np.linspace(1, 1.3, 32).reshape(4, 8), np.ones((4, 8)), VALID).astype(int).sum(-1)
    assert wrong[0, 0] < wrong[2, 0] < wrong[-1, -1]


def test_a_contact_sheet_holds_all_pictures() -> None:
    shapes = {name: np.full((10, 20, 3), value, np.uint8) for name, value in (("a", 10), ("b", 100), ("c", 200))}
    sheet = contact_sheet(shapes, columns=2, width=40)
    assert sheet.shape == (2 * (20 + 28), 80, 3)
    assert [int(sheet[5, 5, 0]), int(sheet[5, 45, 0]), int(sheet[53, 5, 0])] == [10, 100, 200]
