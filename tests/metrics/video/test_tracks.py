"""Errors of tracks on the sphere: TAP-Vid's counts, point by point, and no seam and no pole in any of them."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geometry.directions import angles_to_directions
from geometry.video.flow import moved_along
from metrics.video.tracks import THRESHOLDS, after_birth, point_figures, strata, track_errors, track_figures

EVERY = np.ones((60, 12), bool)


def tracks(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bearings (60, 12, 3) and visibility, said and true; what is said is 0 to 6 degrees off, some of it missing."""
    generator = np.random.default_rng(seed)
    true = generator.normal(size=(60, 12, 3))
    true /= np.linalg.norm(true, axis=-1, keepdims=True)
    said = moved_along(true, np.radians(generator.uniform(0, 4, (60, 12, 2)) * generator.uniform(0, 1, (60, 1, 1))))
    said[generator.random((60, 12)) < 0.1] = np.nan
    return said, generator.random((60, 12)) < 0.7, true, generator.random((60, 12)) < 0.8


def by_hand(said: np.ndarray, visible: np.ndarray, true: np.ndarray, seen: np.ndarray, counted: np.ndarray) -> dict[str, float]:
    """TAP-Vid's figures in a loop over points, by the law of cosines."""
    rows = []
    for i, j in zip(*np.nonzero(counted)):
        cosine = sum(float(a) * float(b) for a, b in zip(said[i, j], true[i, j]))
        off = math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) if math.isfinite(cosine) else math.inf
        rows.append((off, bool(visible[i, j]), bool(seen[i, j])))
    found, jaccards = {}, []
    for name, most in THRESHOLDS.items():
        found[name] = sum(off < most for off, _, true_ in rows if true_) / sum(true_ for *_, true_ in rows)
        hits = sum(true_ and told and off < most for off, told, true_ in rows)
        false = sum(told and not (true_ and off < most) for off, told, true_ in rows)
        missed = sum(true_ and not (told and off < most) for off, told, true_ in rows)
        jaccards.append(hits / (hits + false + missed))
    found["within"] = sum(found.values()) / len(found)
    found["average_jaccard"] = sum(jaccards) / len(jaccards)
    found["occlusion_accuracy"] = sum(told == true_ for _, told, true_ in rows) / len(rows)
    found["kept"] = sum(told for _, told, true_ in rows if true_) / sum(true_ for *_, true_ in rows)
    found["median"] = float(np.median([off for off, told, true_ in rows if told and true_ and math.isfinite(off)]))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_they_are_tap_vids_counts(seed: int) -> None:
    given = tracks(seed)
    counted = np.random.default_rng(seed).random((60, 12)) < 0.6
    assert track_figures(*given, counted) == pytest.approx(by_hand(*given, counted), abs=1e-9)


def test_the_truth_has_no_error_and_a_known_turn_its_angle() -> None:
    _, _, true, seen = tracks(0)
    perfect = track_figures(true, seen, true, seen, EVERY)
    assert perfect.pop("median") == 0
    assert set(perfect.values()) == {1.0}
    turned = moved_along(true, np.broadcast_to(np.radians([0.9, 1.2]), (60, 12, 2)))
    np.testing.assert_allclose(track_errors(turned, true), 1.5)
    found = track_figures(turned, seen, true, seen, EVERY)
    assert (found["median"], found["within_1"], found["within_2"]) == (pytest.approx(1.5), 0, 1)
    assert (found["within"], found["average_jaccard"]) == (pytest.approx(2 / 5), pytest.approx(2 / 5))


def test_small_angles_are_exact() -> None:
    for degrees in (1e-6, 1e-3, 0.1, 90.0, 179.9):
        said = Rotation.from_rotvec([0, np.radians(degrees), 0]).apply([[0.0, 0, 1]])
        assert track_errors(said, np.array([[0.0, 0, 1]]))[0] == pytest.approx(degrees, rel=1e-9)


@pytest.mark.parametrize("turn", [[0, np.pi, 0], [np.pi / 2, 0, 0], [0.3, 2.0, -1.0]])
def test_nothing_depends_on_where_the_seam_and_the_poles_are(turn: list[float]) -> None:
    said, visible, true, seen = tracks(1)
    rotation = Rotation.from_rotvec(turn).as_matrix()
    there = track_figures(said @ rotation.T, visible, true @ rotation.T, seen, EVERY)
    assert there == pytest.approx(track_figures(said, visible, true, seen, EVERY), abs=1e-9)


def test_a_dropped_point_is_a_miss_and_a_wrong_one_costs_twice() -> None:
    true = np.tile([0.0, 0, 1], (4, 1, 1))
    seen = counted = np.ones((4, 1), bool)
    dropped, wrong = true.copy(), true.copy()
    dropped[0], wrong[0] = np.nan, [1.0, 0, 0]
    said = np.array([[False], [True], [True], [True]])
    assert track_figures(dropped, said, true, seen, counted)["average_jaccard"] == pytest.approx(3 / 4)
    assert track_figures(wrong, seen, true, seen, counted)["average_jaccard"] == pytest.approx(3 / 5)
    assert track_figures(dropped, said, true, seen, counted)["within"] == pytest.approx(3 / 4)
    assert track_figures(dropped, said, true, seen, counted)["kept"] == pytest.approx(3 / 4)


def test_where_nothing_counts_there_is_no_figure() -> None:
    assert all(math.isnan(value) for value in track_figures(*tracks(0), ~EVERY).values())
    nothing = point_figures(np.zeros((3, 2, 3)), np.ones((3, 2, 3)), np.zeros((2, 3)), np.zeros((3, 2), bool))
    assert all(math.isnan(value) for value in nothing.values())


def test_strata_are_what_they_say() -> None:
    degrees = np.array([[170, 178, -174], [170, 175, 179], [179, 150, -150], [10, -10, 10], [100, -100, 100]], float)
    latitude = np.array([0, 0, 0, 0, 70.0])[:, None] * np.ones((1, 3))
    bearing = angles_to_directions(np.radians(degrees), np.radians(latitude))
    visible = np.ones((5, 3), bool)
    visible[2, 0] = visible[2, 1] = False  # where it crosses it is hidden, and was not seen before
    moving = np.array([False, True, False, False, False])
    counted = after_birth(np.zeros(5, int), 3)
    found = strata(bearing, visible, moving, counted)
    assert {name: np.flatnonzero(part.any(axis=1)).tolist() for name, part in found.items()} == {
        "all": [0, 1, 2, 3, 4],
        "seam": [0, 4],  # near a pole the shortest way from -100 to 100 degrees leads over the seam too
        "poles": [4],
        "moving": [1],
        "others": [2, 3],
    }
    assert not any(part[:, 0].any() for part in found.values())
    hidden = visible.copy()
    hidden[0, 1] = False  # hidden in between: seen on both sides of it
    assert strata(bearing, hidden, moving, counted)["seam"][0].tolist() == [False, True, True]


def test_points_count_after_the_frame_that_they_were_asked_for_in() -> None:
    np.testing.assert_array_equal(after_birth(np.array([0, 2]), 4), [[False, True, True, True], [False, False, False, True]])


def test_errors_in_space_are_distances_and_shares_of_depth() -> None:
    generator = np.random.default_rng(0)
    truth, camera = generator.uniform([-3, -3, 6], [3, 3, 12], (20, 5, 3)), generator.normal(size=(5, 3))
    said = camera + 1.1 * (truth - camera)  # each a tenth of its depth too far
    counted = generator.random((20, 5)) < 0.8
    said[0] = np.nan
    found = point_figures(said, truth, camera, counted)
    assert found["point_abs_rel"] == pytest.approx(0.1)
    depths = [0.1 * math.dist(truth[i, j], camera[j]) for i, j in zip(*np.nonzero(counted)) if i]
    assert found["point_median"] == pytest.approx(np.median(depths))
    assert found["point_known"] == pytest.approx(len(depths) / counted.sum())
    assert point_figures(truth, truth, camera, counted) == {"point_median": 0, "point_abs_rel": 0, "point_known": 1}
