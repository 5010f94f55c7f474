from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field, canonical
from geometry.fusion.fuse import FusionSettings, fuse

SIDES = np.array([2.5, 1.4, 3.5])
ORIGIN = np.array([0.4, 0.2, -0.5])
SPHERES = [((1.2, 0.6, 1.5), 0.5), ((-1.0, 0.8, 0.8), 0.4), ((0.2, 0.3, -2.2), 0.6)]
SETTINGS = FusionSettings(classes=16)


def room(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radial depth, normal and label of a box with three spheres in it, in float64."""
    with np.errstate(divide="ignore"):
        reach = np.where(directions > 0, SIDES - ORIGIN, -SIDES - ORIGIN) / directions
    axis, depth = reach.argmin(axis=-1), reach.min(axis=-1)
    ahead = np.take_along_axis(directions, axis[..., None], -1)[..., 0] > 0
    normals = np.eye(3)[axis] * np.where(ahead, -1, 1)[..., None]
    labels = 2 * axis + ahead
    for number, (centre, radius) in enumerate(SPHERES):
        offset = np.array(centre) - ORIGIN
        along = directions @ offset
        gap = along**2 - offset @ offset + radius**2
        near = along - np.sqrt(np.maximum(gap, 0))
        hit = (gap > 0) & (near > 0) & (near < depth)
        depth = np.where(hit, near, depth)
        normals = np.where(hit[..., None], (directions * near[..., None] - offset) / radius, normals)
        labels = np.where(hit, 6 + number, labels)
    return depth, normals, labels


def around(size: int, fov: float = 90.0, roll: float = 0.3) -> list[Camera]:
    """14 cameras that see the whole sphere, two to five times."""
    poles = [(0.0, 90.0), (40.0, -90.0)]
    rings = [(yaw + 30 * (pitch > 0), pitch) for pitch in (-35.0, 35.0) for yaw in range(-180, 180, 60)]
    return [Camera.looking(size, size, np.radians(fov), np.radians(yaw), np.radians(pitch), roll) for yaw, pitch in poles + rings]


def depth_field(values, unit="metre", frame="ray", valid=None, confidence=None):
    values = np.asarray(values, np.float32)
    return Field("depth", values, np.ones(values.shape, bool) if valid is None else valid, unit, frame, confidence)


def normals_field(values, valid=None):
    values = np.asarray(values, np.float32)
    return Field("normals", values, np.ones(values.shape[:3], bool) if valid is None else valid, "unit", "world")


def label_field(labels, top=3, classes=16):
    ranked = np.stack([(labels + k) % classes for k in range(top)], axis=-1).astype(np.uint16)
    share = np.broadcast_to(np.float32([0.7, 0.2, 0.1][:top]), ranked.shape).copy()
    return Field("semantics", ranked, np.ones(labels.shape, bool), "class", confidence=share)


def area_mean(values: np.ndarray) -> float:
    return float(np.average(values.mean(axis=1), weights=erp_area_weights(len(values))))


@pytest.fixture(scope="module")
def perfect():
    """A perfect teacher: z-depth and camera normals, as teachers give them, of the room; fused, and the truth."""
    cameras = around(256)
    depth, normals, labels = (np.stack(one) for one in zip(*(room(camera.directions()) for camera in cameras)))
    z = np.stack([d * camera.rays()[..., 2] for d, camera in zip(depth, cameras)])
    local = np.stack([n @ camera.matrix for n, camera in zip(normals, cameras)]).astype(np.float32)
    fields = {
        "depth": canonical(depth_field(z, frame="axis"), cameras),
        "normals": canonical(Field("normals", local, np.ones(z.shape, bool), "unit", "camera"), cameras),
        "semantics": label_field(labels),
    }
    return fields, cameras, fuse(fields, cameras, 256, 512, SETTINGS), room(erp_directions(256, 512))


def test_identity_floor_of_a_perfect_teacher(perfect):
    _, _, fused, (depth, normals, labels) = perfect
    assert fused["depth_valid"].all()
    assert fused["semantics_valid"].all()
    error = np.abs(fused["depth"] / depth - 1)
    assert area_mean(error) < 0.001
    assert np.percentile(error, 98) < 0.001
    angle = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(fused["normals"] - normals, axis=-1) / 2, 0, 1)))
    assert area_mean(np.where(fused["normals_valid"], angle, 0)) < 0.5
    assert fused["normals_valid"].mean() > 0.999
    assert area_mean(fused["semantics"] != labels) < 0.004  # at half the size of the measured floor, edges are twice as long


def test_depth_edges_are_not_smeared(perfect):
    _, _, fused, (depth, _, _) = perfect
    # Every fused depth is that of a surface in the pixel's own neighbourhood, not one between two surfaces.
    padded = np.pad(depth, ((1, 1), (0, 0)), mode="edge")
    rows = [np.roll(padded[i : i + 256], j, axis=1) for i in range(3) for j in (-1, 0, 1)]
    nearest = np.min(np.abs(fused["depth"] / np.stack(rows) - 1), axis=0)
    assert np.percentile(nearest, 99.9) < 0.02


def test_dtypes_shapes_and_names(perfect):
    _, _, fused, _ = perfect
    expected = {
        "views": "uint8", "depth": "float32", "depth_valid": "bool", "depth_consistency": "uint8", "normals": "float32",
        "normals_valid": "bool", "normals_agreement": "uint8", "normals_consistency": "uint8", "semantics": "uint8",
        "semantics_valid": "bool", "semantics_confidence": "uint8", "semantics_consistency": "uint8",
        "semantics_runner_up": "uint8",
    }  # fmt: skip
    assert {name: str(array.dtype) for name, array in fused.items()} == expected
    assert all(array.shape[:2] == (256, 512) for array in fused.values())
    lengths = np.linalg.norm(fused["normals"], axis=-1)
    np.testing.assert_allclose(lengths[fused["normals_valid"]], 1, atol=1e-5)


def test_views_are_counted(perfect):
    _, cameras, fused, _ = perfect
    directions = erp_directions(256, 512)
    count = sum(camera.project(directions)[2].astype(int) for camera in cameras)
    assert (fused["views"] != count).mean() < 1e-3  # directions on a border may round to either side


def test_order_of_views_does_not_matter(perfect):
    fields, cameras, fused, _ = perfect
    order = np.random.default_rng(0).permutation(len(cameras))

    def pick(confidence):
        return None if confidence is None else confidence[order]

    moved = {
        name: replace(one, values=one.values[order], valid=one.valid[order], confidence=pick(one.confidence))
        for name, one in fields.items()
    }
    again = fuse(moved, [cameras[k] for k in order], 256, 512, SETTINGS)
    np.testing.assert_allclose(again["depth"], fused["depth"], rtol=1e-5)
    np.testing.assert_allclose(again["normals"], fused["normals"], atol=1e-4)
    assert (again["semantics"] != fused["semantics"]).mean() < 1e-4
    for task in ("depth", "normals", "semantics"):  # a square root, or an arc cosine, of what rounding left
        assert np.abs(again[f"{task}_consistency"].astype(int) - fused[f"{task}_consistency"]).max() <= 4


def test_the_same_input_gives_the_same_bytes(perfect):
    fields, cameras, fused, _ = perfect
    again = fuse(fields, cameras, 256, 512, SETTINGS)
    assert all(again[name].tobytes() == fused[name].tobytes() for name in fused)


def test_a_sphere_keeps_its_radius_and_all_views_agree():
    cameras = around(64)
    fused = fuse({"depth": depth_field(np.full((14, 64, 64), 3.0))}, cameras, 64, 128, SETTINGS)
    np.testing.assert_allclose(fused["depth"], 3, rtol=1e-6)
    judged = fused["depth_consistency"] > 0
    assert (fused["depth_consistency"][judged] >= 254).all()
    assert not judged[fused["views"] < 2].any()
    assert judged[fused["views"] > 1].mean() > 0.98  # the rest is all but one view's


def test_consistency_is_the_exponential_of_the_deviation():
    cameras = [Camera.looking(32, 32, np.radians(90))] * 2
    values = np.stack([np.full((32, 32), np.exp(-0.02)), np.full((32, 32), np.exp(0.02))])
    fused = fuse({"depth": depth_field(values)}, cameras, 32, 64, SETTINGS)
    seen = fused["views"] == 2
    np.testing.assert_allclose(fused["depth_consistency"][seen], 255 * np.exp(-np.std([-0.02, 0.02], ddof=1) / 0.1), atol=1)
    np.testing.assert_allclose(fused["depth"][seen], 1, rtol=1e-5)
    assert not fused["depth_consistency"][~seen].any()


def test_a_view_that_disagrees_does_not_mix():
    cameras = [Camera.looking(32, 32, np.radians(90))] * 3
    fused = fuse({"depth": depth_field(np.stack([np.full((32, 32), r) for r in (2.0, 2.02, 3.0)]))}, cameras, 32, 64, SETTINGS)
    np.testing.assert_allclose(fused["depth"][fused["depth_valid"]], np.sqrt(2 * 2.02), rtol=1e-5)


def test_labels_at_the_seam_and_the_poles():
    cameras = around(128)

    def octant(directions):
        return (directions > 0) @ np.array([1, 2, 4])

    fused = fuse({"semantics": label_field(np.stack([octant(c.directions()) for c in cameras]))}, cameras, 128, 256, SETTINGS)
    directions = erp_directions(128, 256)
    wrong = fused["semantics"] != octant(directions)
    # Half a patch pixel's diagonal from a border between octants (the seam and both poles lie on such borders), all is right.
    assert not wrong[np.abs(directions).min(axis=-1) > 0.012].any()
    assert wrong.mean() < 0.01


def test_unseen_pixels_are_invalid():
    camera = Camera.looking(32, 32, np.radians(90), np.pi)
    labels = np.full((1, 32, 32), 5)
    fields = {
        "depth": depth_field(np.ones((1, 32, 32))),
        "normals": normals_field(-camera.directions()[None]),
        "semantics": label_field(labels),
    }
    fused = fuse(fields, [camera], 64, 128, SETTINGS)
    unseen = fused["views"] == 0
    assert 0 < unseen.mean() < 1
    for name, array in fused.items():
        assert not array[unseen].any(), name
    assert fused["depth_valid"][~unseen].all()
    assert fused["semantics_valid"][~unseen].all()


@pytest.mark.parametrize("marked", [True, False])
def test_bad_numbers_never_leak(marked):
    cameras = around(48)
    shape = (14, 48, 48)
    rng = np.random.default_rng(0)
    bad = rng.random(shape) < 0.3
    poison = rng.choice([np.nan, np.inf, -np.inf], shape)
    valid = ~bad if marked else np.ones(shape, bool)
    normals = -np.stack([camera.directions() for camera in cameras])
    share = np.where(bad[..., None], poison[..., None], [0.6, 0.4]).astype(np.float32)
    labels = np.where(bad[..., None], 999 if marked else 1, [3, 4]).astype(np.uint16)
    fields = {
        "depth": depth_field(np.where(bad, poison, 2.0), valid=valid, confidence=np.where(bad, poison, 1).astype(np.float32)),
        "normals": normals_field(np.where(bad[..., None], poison[..., None], normals), valid),
        "semantics": Field("semantics", labels, valid, "class", confidence=share),
        "sky": Field("sky", np.where(bad, poison, 0.1).astype(np.float32), valid, "probability"),
    }
    fused = fuse(fields, cameras, 48, 96, SETTINGS)
    assert all(np.isfinite(array).all() for array in fused.values())
    np.testing.assert_allclose(fused["depth"][fused["depth_valid"]], 2, rtol=1e-6)
    assert set(np.unique(fused["semantics"][fused["semantics_valid"]])) == {3}
    assert fused["semantics_valid"].mean() > 0.8
    assert not fused["sky"].any()


def test_sky_has_neither_depth_nor_normals():
    cameras = around(64)
    up = np.stack([camera.directions()[..., 1] < -0.3 for camera in cameras])
    directions = np.stack([camera.directions() for camera in cameras])
    fields = {
        "depth": depth_field(np.full(up.shape, 5.0)),
        "normals": normals_field(-directions),
        "semantics": label_field(np.where(up, 2, 9)),
    }
    by_label = fuse(fields, cameras, 64, 128, FusionSettings(classes=16, sky_class=2))
    sky = Field("sky", up.astype(np.float32), np.ones(up.shape, bool), "probability")
    by_field = fuse(fields | {"sky": sky}, cameras, 64, 128, SETTINGS)
    truth = erp_directions(64, 128)[..., 1] < -0.3
    for fused in (by_label, by_field):
        assert (fused["sky"] != truth).mean() < 0.02
        assert (fused["depth_valid"] == ~fused["sky"]).all()
        for name in ("depth", "depth_consistency", "normals", "normals_valid", "normals_agreement"):
            assert not fused[name][fused["sky"]].any()
    assert "sky" not in fuse(fields, cameras, 64, 128, SETTINGS)


def test_relative_depth_is_aligned_and_metric_depth_is_left_alone():
    cameras = around(96)
    truth = np.stack([room(camera.directions())[0] for camera in cameras])
    logs = np.random.default_rng(0).normal(0, 0.1, len(cameras))
    scaled = truth * np.exp(logs - np.median(logs))[:, None, None]
    expected = room(erp_directions(96, 192))[0]

    def error(unit, depth):
        fused = fuse({"depth": depth_field(scaled, unit)}, cameras, 96, 192, FusionSettings(depth=depth))
        return float(np.median(np.abs(np.log(fused["depth"] / expected))))

    assert error("scale", "blend") < 1e-3
    assert error("metre", "align") < 1e-3
    assert error("metre", "blend") > 0.01


def test_inverse_distances_become_distances():
    cameras = around(96)
    truth = np.stack([room(camera.directions())[0] for camera in cameras])
    cosine = np.stack([camera.rays()[..., 2] for camera in cameras])
    rng = np.random.default_rng(1)
    factor, offset = rng.uniform(0.8, 1.2, (14, 1, 1)), rng.uniform(-0.03, 0.03, (14, 1, 1))
    field = depth_field((1 / truth - offset * cosine) / factor, "inverse")
    fused = fuse({"depth": field}, cameras, 96, 192, SETTINGS)
    ratio = np.log(fused["depth"] / room(erp_directions(96, 192))[0])
    assert np.percentile(np.abs(ratio - np.median(ratio)), 90) < 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4))
def test_no_class_without_a_vote_and_no_depth_outside_the_views(seed, count, top):
    rng = np.random.default_rng(seed)
    yaws, pitches = rng.uniform(-np.pi, np.pi, count), rng.uniform(-1.5, 1.5, count)
    cameras = [Camera.looking(24, 20, float(rng.uniform(0.6, 2.2)), yaw, pitch) for yaw, pitch in zip(yaws, pitches)]
    shape = (count, 20, 24)
    distance = rng.uniform(1, 4, shape).astype(np.float32)
    labels = np.stack([rng.permutation(300)[:top] for _ in range(np.prod(shape))]).reshape(*shape, top).astype(np.uint16)
    share = (rng.random((*shape, top)) / top).astype(np.float32)
    valid = rng.random(shape) < 0.8
    semantics = Field("semantics", labels, valid, "class", confidence=share)
    fields = {"depth": depth_field(distance, valid=valid), "semantics": semantics}
    fused = fuse(fields, cameras, 40, 80, FusionSettings(classes=300))
    assert fused["semantics"].dtype == np.uint16
    low, high = np.full((40, 80), np.inf), np.full((40, 80), -np.inf)
    voted = np.zeros((40, 80, 300), bool)
    for k, camera in enumerate(cameras):
        x, y, inside = camera.project(erp_directions(40, 80))
        # The pixel and, for the slope of a depth, its neighbours; one more for a coordinate that rounds onto a border.
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                i = np.clip(np.floor(y[inside]).astype(int) + di, 0, 19)
                j = np.clip(np.floor(x[inside]).astype(int) + dj, 0, 23)
                ok = valid[k, i, j]
                low[inside] = np.minimum(low[inside], np.where(ok, distance[k, i, j], np.inf))
                high[inside] = np.maximum(high[inside], np.where(ok, distance[k, i, j], -np.inf))
        on = [np.clip(np.floor(c[inside]).astype(int), 0, n - 1) for c, n in ((y, 20), (x, 24))]
        rows, columns = np.nonzero(inside)
        for t in range(top):
            voted[rows, columns, labels[k, on[0], on[1], t]] |= valid[k, on[0], on[1]]
    at = fused["depth_valid"]
    assert (fused["depth"][at] >= low[at] * (1 - 1e-5)).all()
    assert (fused["depth"][at] <= high[at] * (1 + 1e-5)).all()
    rows, columns = np.nonzero(fused["semantics_valid"])
    assert voted[rows, columns, fused["semantics"][rows, columns]].mean() > 0.995 if len(rows) else True
    assert voted[rows, columns, fused["semantics_runner_up"][rows, columns]].mean() > 0.995 if len(rows) else True


def test_errors_name_what_is_wrong():
    cameras = [Camera.looking(8, 8, 1.0)]
    with pytest.raises(ValueError, match="at least one camera"):
        fuse({}, [], 16, 32, SETTINGS)
    with pytest.raises(ValueError, match="depth"):
        fuse({"depth": depth_field(np.ones((1, 8, 9)))}, cameras, 16, 32, SETTINGS)
    with pytest.raises(ValueError, match="canonical"):
        fuse({"depth": depth_field(np.ones((1, 8, 8)), frame="axis")}, cameras, 16, 32, SETTINGS)
    with pytest.raises(ValueError, match="label 17"):
        fuse({"semantics": label_field(np.full((1, 8, 8), 17), top=1, classes=20)}, cameras, 16, 32, SETTINGS)
    with pytest.raises(ValueError, match="depth must be"):
        FusionSettings(depth="maybe")
