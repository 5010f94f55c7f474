"""Figures of a panorama's consistency against closed forms."""

import numpy as np
import pytest

from geometry.directions import erp_area_weights, erp_directions
from metrics.consistency import area_mean, coarse, consistency_figures, depth_normal_agreement

SHAPE = (64, 128)
PLANE = np.array([0.0, -1.0, 0.0])  # the floor's normal points up, which is -y


def floor() -> dict[str, np.ndarray]:
    """A floor 1.5 m below the camera, seen in the lower half but for the horizon."""
    directions = erp_directions(*SHAPE)
    seen = directions[..., 1] > 0.2
    depth = np.where(seen, 1.5 / np.where(seen, directions[..., 1], 1), 0).astype(np.float32)
    normals = np.where(seen[..., None], PLANE, 0).astype(np.float32)
    return {"depth": depth, "depth_valid": seen, "normals": normals, "normals_valid": seen}


@pytest.mark.parametrize("tilt", [0.0, 10.0, 40.0])
def test_agreement_falls_by_the_angle_between_normals_and_depth(tilt):
    labels = floor()
    angle = np.radians(tilt)
    tilted = np.float32([np.sin(angle), -np.cos(angle), 0])
    agreement, judged = depth_normal_agreement(
        labels["depth"], labels["depth_valid"], labels["normals_valid"][..., None] * tilted, labels["normals_valid"]
    )
    assert judged.sum() > 0.9 * labels["depth_valid"].sum()
    np.testing.assert_allclose(np.median(agreement[judged]), np.exp(-tilt / 20), atol=0.01)


def test_a_mean_is_by_solid_angle_over_what_was_judged():
    values = np.zeros(SHAPE)
    values[:16] = 1
    judged = np.ones(SHAPE, bool)
    judged[32:] = False
    area = erp_area_weights(64)
    assert area_mean(values, judged) == pytest.approx(area[:16].sum() / area[:32].sum())
    assert area_mean(values, np.zeros(SHAPE, bool)) is None


def test_the_combined_figure_is_the_geometric_mean_of_those_there_are():
    labels = floor() | {
        "depth_consistency": np.where(floor()["depth_valid"], 51, 0).astype(np.uint8),
        "semantics_consistency": np.full(SHAPE, 204, np.uint8),
    }
    figures = consistency_figures(labels)
    assert figures["consistency_depth"] == pytest.approx(0.2)
    assert figures["consistency_semantics"] == pytest.approx(0.8)
    assert "consistency_normals" not in figures
    assert figures["consistency"] == pytest.approx(np.sqrt(0.2 * 0.8))
    assert figures["depth_normal_agreement"] > 0.95


def test_where_nothing_can_be_judged_there_is_no_figure():
    assert consistency_figures({"depth_consistency": np.zeros(SHAPE, np.uint8), "views": np.ones(SHAPE, np.uint8)}) == {}


@pytest.mark.parametrize(("height", "rows"), [(64, 64), (256, 128), (1026, 171), (1024, 128)])
def test_the_coarse_grid_divides_the_panorama(height, rows):
    arrays = {"depth": 2, "depth_valid": 2, "normals": 3, "normals_valid": 2}
    labels = {name: np.zeros((height, 2 * height, 3)[:dimensions]) for name, dimensions in arrays.items()}
    shapes = {array.shape[:2] for array in coarse(labels)}
    assert shapes == {(rows, 2 * rows)}
