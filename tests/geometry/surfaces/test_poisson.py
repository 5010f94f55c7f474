import numpy as np
import pytest
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from geometry.directions import erp_area_weights, erp_directions
from geometry.surfaces.poisson import cell_metric, solve_screened_poisson


def random_problem(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(height, width)), rng.normal(size=(height - 1, width)), rng.normal(size=(height, width))


def differences(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.roll(u, -1, axis=1) - u, np.diff(u, axis=0)


def least_squares(right, down, data, screen):
    """The same minimum from the normal equations of an explicit sparse matrix, edge by edge."""
    height, width = data.shape
    pixel = np.arange(height * width).reshape(height, width)
    across, along, area = cell_metric(height, width)
    ends = np.concatenate(
        [np.stack([pixel, np.roll(pixel, -1, 1)], -1).reshape(-1, 2), np.stack([pixel[:-1], pixel[1:]], -1).reshape(-1, 2)]
    )
    weight = np.concatenate([np.repeat(across, width), np.repeat(along, width)])
    asked = np.concatenate([right.ravel(), down.ravel()])
    edge = np.arange(len(ends))
    one = np.ones(len(ends))
    matrix = coo_matrix(
        (np.concatenate([-one, one]), (np.concatenate([edge, edge]), np.concatenate([ends[:, 0], ends[:, 1]]))),
        shape=(len(ends), height * width),
    ).tocsr()
    pull = screen * np.repeat(area, width)
    normal = matrix.T @ diags(weight) @ matrix + diags(pull)
    return spsolve(normal.tocsc(), matrix.T @ (weight * asked) + pull * data.ravel()).reshape(height, width)


@pytest.mark.parametrize(("height", "width", "screen"), [(8, 16, 1.0), (12, 24, 0.01), (9, 15, 30.0), (2, 4, 1.0), (1, 2, 1.0)])
def test_it_is_the_least_squares_minimum(height, width, screen):
    problem = random_problem(height, width)
    np.testing.assert_allclose(solve_screened_poisson(*problem, screen), least_squares(*problem, screen), rtol=1e-8, atol=1e-9)


def test_consistent_differences_give_the_field_back():
    field = random_problem(32, 64)[2]
    np.testing.assert_allclose(solve_screened_poisson(*differences(field), field, 1e-3), field, atol=1e-9)


@pytest.mark.parametrize("degree", [1, 2])
def test_spherical_harmonics_are_damped_as_on_the_sphere(degree):
    # Without asked differences, (screen - laplacian) u = screen data: a harmonic of degree l keeps screen / (screen + l (l + 1)).
    x, y, z = np.moveaxis(erp_directions(128, 256), -1, 0)
    data = {1: 0.3 * x - y + 0.5 * z, 2: x * y + 0.4 * (x * x - z * z) + (3 * y * y - 1)}[degree]
    screen = 3.0
    flat = np.zeros_like(data)
    found = solve_screened_poisson(flat, flat[1:], data, screen)
    np.testing.assert_allclose(found, data * screen / (screen + degree * (degree + 1)), atol=2e-3)


def test_the_differences_of_a_harmonic_bring_it_back_from_nothing():
    x, y, z = np.moveaxis(erp_directions(128, 256), -1, 0)
    wanted = x * y + 0.5 * z
    found = solve_screened_poisson(*differences(wanted), np.zeros_like(wanted), 1e-4)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_turning_by_columns_commutes():
    problem = random_problem(16, 32)
    turned = solve_screened_poisson(*(np.roll(one, 5, axis=1) for one in problem), 0.5)
    np.testing.assert_allclose(turned, np.roll(solve_screened_poisson(*problem, 0.5), 5, axis=1), atol=1e-10)


@pytest.mark.parametrize("row", [0, 40, 79])
def test_seam_and_poles_are_no_border(row):
    # The answer to a point source falls off with the angle to it alone, wherever it lies.
    height, width = 80, 160
    data, flat = np.zeros((height, width)), np.zeros((height, width))
    data[row, 0] = 1 / erp_area_weights(height)[row]
    found = solve_screened_poisson(flat, flat[1:], data, 4.0)
    directions = erp_directions(height, width)
    angle = np.arccos(np.clip(directions @ directions[row, 0], -1, 1))
    for low in (0.3, 0.6, 1.2, 2.4):
        ring = found[(angle > low) & (angle < low + 0.02)]
        assert np.ptp(ring) < 0.12 * ring.mean()


def test_the_mean_is_that_of_the_data():
    right, down, data = random_problem(24, 48)
    weights = np.broadcast_to(erp_area_weights(24)[:, None], data.shape)
    found = solve_screened_poisson(right, down, data, 0.1)
    assert np.average(found, weights=weights) == pytest.approx(np.average(data, weights=weights), abs=1e-10)


def test_the_same_input_gives_the_same_bytes():
    problem = random_problem(64, 128)
    assert solve_screened_poisson(*problem, 1.0).tobytes() == solve_screened_poisson(*problem, 1.0).tobytes()


@pytest.mark.parametrize("screen", [0, -1.0, np.nan, np.inf])
def test_a_screen_that_is_not_positive_is_named(screen):
    with pytest.raises(ValueError, match="screen must be a positive number"):
        solve_screened_poisson(*random_problem(4, 8), screen)


def test_shapes_that_do_not_match_are_named():
    right, down, data = random_problem(4, 8)
    with pytest.raises(ValueError, match="right and down must be"):
        solve_screened_poisson(right, down[:-1], data, 1.0)
