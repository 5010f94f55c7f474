"""Seam metrics hold the sanity figures of the published ones on analytic rooms, and see what those cannot."""

import numpy as np
import pytest
from numpy.typing import NDArray

from geometry.directions import erp_directions
from metrics.seams import cube_edges, cube_seams, pole_seam, seam_figures, wrap_seam

HEIGHT, WIDTH = 1024, 2048
ROOMS = [((4.0, 3.0, 4.0), (0.0, 0.0, 0.0)), ((5.0, 3.0, 4.0), (0.3, 0.1, -0.2)), ((3.0, 3.0, 3.0), (0.0, 0.0, 0.0))]


def room(size: tuple[float, float, float], camera: tuple[float, float, float]) -> NDArray[np.float64]:
    """Radial distance inside a box, in closed form."""
    direction = erp_directions(HEIGHT, WIDTH)
    with np.errstate(divide="ignore"):
        walls = (np.where(direction > 0, 0.5, -0.5) * np.array(size) - np.array(camera)) / direction
    return walls.min(axis=-1)


def alternating(share: float) -> NDArray[np.float64]:
    """A factor per cube face, larger on the front, back and upper face and smaller on the others."""
    direction = erp_directions(HEIGHT, WIDTH)
    axis = np.abs(direction).argmax(axis=-1)
    sign = np.where(axis == 2, 1.0, np.where(axis == 0, -1.0, -np.sign(direction[..., 1])))
    return 1 + share * sign


everywhere = np.ones((HEIGHT, WIDTH), bool)


@pytest.mark.parametrize(("size", "camera"), ROOMS)
def test_a_room_has_no_seams(size: tuple[float, float, float], camera: tuple[float, float, float]) -> None:
    assert seam_figures(room(size, camera), everywhere) == pytest.approx(
        {"seam_defect_density": 0, "seam_prevalence": 0, "seam_severity": 0, "wrap_seam": 0, "pole_seam": 0}, abs=1e-4
    )


@pytest.mark.parametrize(("size", "camera"), ROOMS)
def test_half_a_percent_of_alternating_scale_shows_on_eight_of_twelve_edges(
    size: tuple[float, float, float], camera: tuple[float, float, float]
) -> None:
    figures = cube_seams(room(size, camera) * alternating(0.005), everywhere)
    assert figures["seam_prevalence"] == pytest.approx(8 / 12)
    assert figures["seam_severity"] == pytest.approx(8 / 12)
    assert figures["seam_defect_density"] == pytest.approx(0.46, abs=0.11)


def test_a_jump_at_the_wrap_is_invisible_to_the_cube_metrics_and_visible_to_ours() -> None:
    # A scale that grows along the row is smooth everywhere but at the wrap.
    depth = room(*ROOMS[0]) * np.linspace(1, 1.3, WIDTH)
    assert set(cube_seams(depth, everywhere).values()) == {0.0}
    assert wrap_seam(depth, everywhere) == pytest.approx(np.log(1.3), abs=0.002)


def test_a_pole_that_is_torn_is_seen() -> None:
    depth = room(*ROOMS[1])
    torn = depth.copy()
    torn[0, : WIDTH // 2] *= 1.1
    torn[1, : WIDTH // 2] *= 1.1
    assert pole_seam(depth, everywhere) < 1e-3
    assert pole_seam(torn, everywhere) == pytest.approx(np.log(1.1), abs=0.002)


def test_seams_do_not_depend_on_unit_or_on_invalid_pixels() -> None:
    depth = room(*ROOMS[0]) * alternating(0.005)
    holes = np.random.default_rng(0).random(depth.shape) > 0.1
    assert seam_figures(depth * 7, everywhere) == pytest.approx(seam_figures(depth, everywhere))
    broken = np.where(holes, depth, np.nan)
    assert seam_figures(broken, holes) == pytest.approx(seam_figures(np.where(holes, depth, 1e9), holes))
    assert seam_figures(broken, holes) == pytest.approx(seam_figures(depth, everywhere), abs=0.02)
    assert all(np.isnan(value) for value in seam_figures(depth, np.zeros_like(everywhere)).values())


def test_every_edge_of_the_cube_has_pairs_and_opposite_faces_none() -> None:
    right, down = cube_edges(64, 128)
    edges = np.concatenate([right[right >= 0], down[down >= 0]])
    assert set(edges) == set(range(12))
    counts = np.bincount(edges)
    assert counts.min() > 20
