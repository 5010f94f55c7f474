"""Angles between a panorama's depth and its normals, against closed forms and an independent computation."""

import numpy as np
import pytest

from geometry.directions import erp_area_weights, erp_directions
from geometry.surfaces.normals import normals_from_depth
from metrics.depth_normals import depth_normal_angles, depth_normal_figures
from metrics.normals import angles, normal_figures
from tests.geometry.surfaces.test_auxiliaries import box, everywhere

HEIGHT, WIDTH = 64, 128
AREA = np.broadcast_to(erp_area_weights(HEIGHT)[:, None], (HEIGHT, WIDTH))


def floor() -> dict[str, np.ndarray]:
    """A floor 1.5 m below the camera, seen in the lower half but for the horizon; its normal points up, which is -y."""
    down = erp_directions(HEIGHT, WIDTH)[..., 1]
    seen = down > 0.2
    depth = np.where(seen, 1.5 / np.where(seen, down, 1), 0).astype(np.float32)
    return {"depth": depth, "depth_valid": seen, "normals_valid": seen}


def expected_agreement(faces: np.ndarray, told: np.ndarray, compared: np.ndarray) -> float:
    """Of float64 angles, the mean by area."""
    return float(np.average(np.exp(-angles(faces[compared], told[compared]) / 20), weights=AREA[compared]))


@pytest.mark.parametrize("tilt", [0.0, 10.0, 40.0])
def test_a_tilt_of_all_normals_of_a_floor_is_the_angle_everywhere(tilt):
    labels, angle = floor(), np.radians(tilt)
    tilted = np.float32([np.sin(angle), -np.cos(angle), 0])
    labels["normals"] = labels["normals_valid"][..., None] * tilted
    found, compared = depth_normal_angles(labels, 0.1)
    assert compared.sum() > 0.9 * labels["depth_valid"].sum()
    assert not (compared & ~labels["depth_valid"]).any()
    np.testing.assert_allclose(found[compared], angle, atol=1e-3)
    assert not found[~compared].any()
    figures = depth_normal_figures(labels, 0.1)
    assert figures["depth_normal_degrees"] == pytest.approx(tilt, abs=0.05)
    assert figures["depth_normal_agreement"] == pytest.approx(np.exp(-tilt / 20), abs=0.003)


def test_the_measured_angle_is_that_of_an_independent_computation():
    depth, normals = (array.astype(np.float32) for array in box(erp_directions(HEIGHT, WIDTH)))
    rng = np.random.default_rng(0)
    told = normals + 0.2 * rng.normal(size=normals.shape)
    told = (told / np.linalg.norm(told, axis=-1, keepdims=True)).astype(np.float32)
    labels = {
        "depth": depth,
        "depth_valid": rng.random(depth.shape) > 0.05,
        "normals": told,
        "normals_valid": told[..., 0] > -0.9,
    }
    found = depth_normal_figures(labels, 0.1)
    faces, seen = normals_from_depth(depth, labels["depth_valid"], 0.1)
    compared = seen & labels["normals_valid"]
    expected = normal_figures(faces, told, compared, AREA)
    assert found["depth_normal_degrees"] == pytest.approx(expected["mean"], abs=0.01)
    assert found["depth_normal_agreement"] == pytest.approx(
        expected_agreement(faces, told, seen & labels["normals_valid"]), abs=1e-3
    )
    for name in ("within_11_25", "within_22_5", "within_30"):
        assert found[f"depth_normal_{name}"] == pytest.approx(expected[name], abs=1e-3)


def test_a_known_tilt_is_measured_as_such():
    directions = erp_directions(HEIGHT, WIDTH)
    axis = np.cross(directions, [0, 1, 0])
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    tilted = -np.cos(np.radians(20)) * directions + np.sin(np.radians(20)) * axis
    every = everywhere(directions.shape[:2])
    labels = {"depth": np.full(every.shape, 3, np.float32), "depth_valid": every, "normals_valid": every}
    found = depth_normal_figures({**labels, "normals": tilted.astype(np.float32)}, 0.1)
    assert found["depth_normal_degrees"] == pytest.approx(20, abs=0.01)
    assert [found[f"depth_normal_within_{name}"] for name in ("11_25", "22_5", "30")] == [0, 1, 1]


def test_nothing_in_common_gives_no_figures():
    nowhere = np.zeros((8, 16), bool)
    depth, normals = np.zeros((8, 16), np.float32), np.zeros((8, 16, 3), np.float32)
    assert depth_normal_figures({"depth": depth, "depth_valid": nowhere}, 0.1) == {}
    assert depth_normal_figures({"depth": depth, "depth_valid": nowhere, "normals": normals, "normals_valid": nowhere}, 0.1) == {}
