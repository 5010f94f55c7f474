"""Sums along a label's path: a float64 loop over all views and pixels, a perfect teacher, and errors of known size."""

from dataclasses import replace

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.directions import directions_to_erp, erp_angles, erp_directions
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.sightings import patch_fields, sightings
from geometry.layouts import icosahedron, random
from metrics.audit.attribution import COLUMNS, LEVELS, PARTS, level_errors, missing_iou, parts
from metrics.audit.bands import splits
from metrics.audit.measure import FIGURES, OWN_AXIS, Measured, Path, errors, make_path, measure, rows_of

CLASSES = ("up", "down", "ahead")
SETTINGS = FusionSettings(classes=len(CLASSES))
Labels = dict[str, np.ndarray]


def truth_of(height: int) -> Labels:
    """Inside a sphere, off its centre; a third class ahead at half the distance."""
    directions = erp_directions(height, 2 * height)
    x, ahead = directions[..., 0], directions[..., 2] > 0.7
    depth = x + np.sqrt(x**2 + 8)
    labels: Labels = {
        "depth": np.where(ahead, depth / 2, depth).astype(np.float32),
        "normals": (-directions).astype(np.float32),
        "semantics": np.where(ahead, 2, directions[..., 1] > 0).astype(np.uint16),
    }
    return {**labels, **{f"{name}_valid": np.ones(directions.shape[:2], bool) for name in labels}}


def measured(
    said: dict[str, Field], cameras: tuple[Camera, ...], truth: Labels, fused: Labels | None = None
) -> dict[str, Measured]:
    height, width = truth["depth"].shape
    true = patch_fields(truth, cameras)
    floor = fuse(true, cameras, height, width, SETTINGS)
    fused = fused or fuse(said, cameras, height, width, SETTINGS)
    seen = [sightings(camera, height, width) for camera in cameras]
    parted = splits(truth, CLASSES, cameras)
    paths = {task: make_path(task, said[task], true[task], truth, fused, floor) for task in FIGURES}
    return {task: measure(path, cameras, seen, parted, len(CLASSES)) for task, path in paths.items()}


def found(one: Measured, figure: str, split: str = "all") -> dict[str, np.ndarray]:
    return dict(zip(LEVELS, level_errors(one.sums[figure, split]).T))


def test_a_perfect_teacher_adds_nothing_to_the_floor() -> None:
    truth, cameras = truth_of(48), icosahedron(32)
    for task, one in measured(patch_fields(truth, cameras), cameras, truth).items():
        assert one.judged == pytest.approx(1)
        for figure in FIGURES[task]:
            split = dict(zip(PARTS, parts(level_errors(one.sums[figure, "all"])[0])))
            assert (split["teacher"], split["way_back"], split["fusion"]) == pytest.approx((0, 0, 0), abs=1e-7)
            assert split["floor"] == split["total"] > 0
        assert dict(zip(LEVELS, missing_iou(one.overlap)))["patch"] == 0 or task != "semantics"


def test_an_error_of_known_size_appears_in_the_teachers_part() -> None:
    truth, cameras = truth_of(48), icosahedron(32)
    true = patch_fields(truth, cameras)
    scale = np.where(np.arange(20) % 2, 1.04, 0.96)[:, None, None].astype(np.float32)
    said = {**true, "depth": replace(true["depth"], values=true["depth"].values * scale)}
    depth = measured(said, cameras, truth)["depth"]
    levels = found(depth, "abs_rel")
    assert levels["patch"][0] == pytest.approx(0.04, abs=1e-6), "every view is wrong by 4 %"
    assert levels["single"][0] == pytest.approx(0.04, abs=2e-3), "and still is on the sphere"
    assert levels["fused"][0] < 0.03, "where views overlap their errors cancel"
    split = dict(zip(PARTS, parts(level_errors(depth.sums["abs_rel", "all"])[0])))
    assert split["teacher"] == pytest.approx(0.04, abs=1e-6)
    assert abs(split["way_back"]) < 2e-3
    assert split["fusion"] < -0.01
    for name in ("latitude", "depth", "edge_distance", OWN_AXIS):
        patch = found(depth, "abs_rel", name)["patch"]
        np.testing.assert_allclose(patch[np.isfinite(patch)], 0.04, atol=1e-6)
    both = np.abs(np.log([0.96, 1.04]))
    assert both.min() < found(depth, "log")["patch"][0] < both.max()


def test_an_error_at_the_patch_border_is_found_there() -> None:
    truth, cameras = truth_of(48), icosahedron(32)
    true = patch_fields(truth, cameras)
    off_axis = np.degrees(np.arccos(cameras[0].rays()[..., 2]))
    wrong = np.where(off_axis >= 45, 1.5, 1).astype(np.float32)
    said = {**true, "depth": replace(true["depth"], values=true["depth"].values * wrong)}
    one = measured(said, cameras, truth)["depth"]
    own = found(one, "abs_rel", OWN_AXIS)["patch"]
    np.testing.assert_allclose(own[:4], [0, 0, 0, 0.5], atol=1e-6)
    assert np.isnan(own[4]), "a view of 90 degrees ends at 55"
    error, weight = one.patch_map
    assert error[7:9, 7:9].sum() == pytest.approx(0, abs=1e-6)
    assert error[0, 0] / weight[0, 0] == pytest.approx(0.5, abs=1e-6)


def test_sums_are_those_of_a_loop_over_all_views_and_pixels() -> None:
    generator = np.random.default_rng(5)
    truth, cameras = truth_of(16), random(9, 4, generator, pitch_range=(-0.5, 0.5))
    true = patch_fields(truth, cameras)
    said = {
        "depth": replace(true["depth"], values=(true["depth"].values * generator.uniform(0.5, 2, (4, 9, 9))).astype(np.float32)),
        "normals": replace(
            true["normals"], values=true["normals"].values + generator.normal(0, 0.3, (4, 9, 9, 3)).astype(np.float32)
        ),
        "semantics": replace(true["semantics"], values=generator.integers(0, 3, (4, 9, 9, 1)).astype(np.uint16)),
    }
    said = {name: replace(field, valid=generator.random((4, 9, 9)) < 0.8) for name, field in said.items()}
    truth["normals_valid"] = truth["semantics_valid"] = generator.random((16, 32)) < 0.9
    true = patch_fields(truth, cameras)
    fused = fuse(said, cameras, 16, 32, SETTINGS)
    floor = fuse(true, cameras, 16, 32, SETTINGS)
    seen = [sightings(camera, 16, 32) for camera in cameras]
    parted = splits(truth, CLASSES, cameras)
    for task in ("normals", "semantics"):
        path = make_path(task, said[task], true[task], truth, fused, floor)
        one = measure(path, cameras, seen, parted, len(CLASSES))
        for split in parted:
            expected = by_loops(path, cameras, split.index, len(split.bands))
            np.testing.assert_allclose(one.sums[FIGURES[task][0], split.name], expected, rtol=1e-5, atol=1e-9, err_msg=split.name)


def by_loops(path: Path, cameras: tuple[Camera, ...], band_of: np.ndarray, bands: int) -> np.ndarray:
    """The sums of one figure by band, from nothing but the pinhole formula."""
    height, width = path.judged.shape
    latitude, directions = erp_angles(height, width)[1], erp_directions(height, width)
    sights: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for number, camera in enumerate(cameras):
        column, row, inside = camera.project(directions)
        for i, j in zip(*np.nonzero(inside & path.judged)):
            place = number, int(row[i, j]), int(column[i, j])
            if path.both[place]:
                sights.setdefault((i, j), []).append(place)

    def wrong(said: np.ndarray, true: np.ndarray) -> float:
        if path.task == "semantics":
            return float(said != true)
        said, true = said.astype(np.float64), true.astype(np.float64)
        return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(said, true)), np.dot(said, true))))

    sums = np.zeros((bands, len(COLUMNS)))
    for (i, j), places in sights.items():
        single = np.mean([wrong(path.said[place], path.truth[i, j]) for place in places])
        single_truth = np.mean([wrong(path.true[place], path.truth[i, j]) for place in places])
        ends = [wrong(one[i, j], path.truth[i, j]) for one in (path.floor, path.fused)]
        if band_of[i, j] >= 0:
            sums[band_of[i, j], 2:] += np.cos(latitude[i]) * np.array([1, single, single_truth, *ends])
    for number, camera in enumerate(cameras):
        focal = camera.width / 2 / np.tan(camera.fov / 2)
        for row, column in np.ndindex(camera.height, camera.width):
            ray = np.array([(column + 0.5 - camera.width / 2) / focal, (row + 0.5 - camera.height / 2) / focal, 1])
            x, y = directions_to_erp(camera.matrix @ ray, height, width)
            i, j = min(int(y), height - 1), int(x) % width
            if path.both[number, row, column] and (i, j) in sights and band_of[i, j] >= 0:
                weight = np.linalg.norm(ray) ** -3 / focal**2 / len(sights[i, j])
                place = number, row, column
                sums[band_of[i, j], :2] += weight * np.array([1, wrong(path.said[place], path.true[place])])
    return sums


def test_errors_in_closed_form() -> None:
    said, true = np.array([2.0, 0.5]), np.array([1.0, 1.0])
    np.testing.assert_allclose(errors("depth", said, true), [[1, 0.5], [np.log(2), np.log(2)]])
    turned = np.array([[np.sin(0.3), 0, np.cos(0.3)]])
    assert errors("normals", turned, np.array([[0, 0, 1.0]])) == pytest.approx(np.degrees(0.3))
    np.testing.assert_array_equal(errors("semantics", np.array([1, -1, 2]), np.array([1, 0, 0])), [[0, 1, 1]])


def test_rows_name_every_band_of_every_sum() -> None:
    truth, cameras = truth_of(16), icosahedron(8)
    one = measured(patch_fields(truth, cameras), cameras, truth)
    rows = rows_of(CLASSES)
    for task, figures in FIGURES.items():
        for figure in figures:
            for split in {row[2] for row in rows}:
                named = [row for row in rows if row[:3] == (task, figure, split)]
                assert len(named) == len(one[task].sums[figure, split])
