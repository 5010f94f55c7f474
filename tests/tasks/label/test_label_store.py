"""What label and fuse store comes back within the stated errors."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geometry.cameras import Camera
from geometry.fields import Field
from tasks.label import project
from tasks.label.arrays import decode_fields, encode_fields
from tasks.label.fuse import decode_labels, distances_to_store, encode_labels
from tasks.label.project import choose_views, decode_cameras, encode_cameras
from tasks.label.ranges import in_fours, with_bits
from tasks.label.settings import Fuse, Project

GENERATOR = np.random.default_rng(0)


def unit_vectors(count: int) -> np.ndarray:
    vectors = GENERATOR.normal(size=(count, 3))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    cross = np.linalg.norm(np.cross(one.astype(np.float64), other.astype(np.float64)), axis=-1)
    return np.degrees(np.arctan2(cross, (one.astype(np.float64) * other).sum(-1)))


@pytest.mark.parametrize(("dtype", "mean", "most"), [("int8", 0.21, 0.5), ("float16", 0.012, 0.05)])
def test_normals_keep_the_stated_accuracy(dtype: str, mean: float, most: float) -> None:
    normals = unit_vectors(20000).reshape(100, 200, 3)
    arrays = {"normals": normals, "normals_valid": np.ones((100, 200), bool)}
    back = decode_labels(encode_labels(arrays, Fuse(normals_dtype=dtype)))["normals"]
    error = degrees(normals, back)
    assert error.mean() < mean
    assert error.max() < most
    np.testing.assert_allclose(np.linalg.norm(back, axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(("dtype", "most"), [("float16", 0.0005), ("float32", 1e-7)])
def test_depth_keeps_the_stated_accuracy(dtype: str, most: float) -> None:
    depth = np.exp(GENERATOR.uniform(np.log(0.1), np.log(1000), (64, 128))).astype(np.float32)
    arrays = {"depth": depth, "depth_valid": np.ones(depth.shape, bool)}
    back = decode_labels(encode_labels(arrays, Fuse(depth_dtype=dtype)))
    assert (np.abs(back["depth"] / depth - 1)).max() <= most
    assert back["depth_valid"].all()


def test_compact_storage_rounds_within_what_it_says_and_is_half_as_large() -> None:
    rows, columns = np.mgrid[0:128, 0:256] / 40
    share = np.clip(160 + 60 * np.sin(rows) * np.cos(columns) + GENERATOR.normal(0, 20, rows.shape), 1, 255).astype(np.uint8)
    share[GENERATOR.random(share.shape) < 0.1] = 0
    names = ("depth_consistency", "normals_consistency", "semantics_consistency", "normals_agreement", "semantics_confidence")
    depth = np.exp(np.sin(rows) + GENERATOR.normal(0, 0.01, rows.shape)).astype(np.float32)
    labels = {"depth": depth, "depth_valid": depth > 0, "instance_agreement": share[0], **dict.fromkeys(names, share)}
    settings = Fuse(storage="compact")
    stored, exact = encode_labels(labels, settings), encode_labels(labels, Fuse())
    assert {name: one.dtype for name, one in stored.items()} == {name: one.dtype for name, one in exact.items()}
    assert np.abs(stored["depth"].astype(np.float64) / depth - 1).max() <= 0.001
    for name in names:
        assert set(np.unique(stored[name])) <= set(range(0, 256, 17))
        np.testing.assert_array_equal(stored[name] == 0, share == 0)
        assert settings.errors[name]
        assert name not in Fuse().errors
    fours = np.where(share > 0, share, np.nan).reshape(64, 2, 128, 2)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(RuntimeWarning, "Mean of empty slice")
        means = np.nanmean(fours, axis=(1, 3)).repeat(2, axis=0).repeat(2, axis=1)
    judged = (share > 0) & (means > 17)
    assert np.abs(stored["depth_consistency"] - means)[judged].max() <= 9
    assert np.abs(stored["semantics_confidence"] - share.astype(int))[share >= 9].max() <= 8
    np.testing.assert_array_equal(stored["instance_agreement"], share[0])
    small, large = (sum(len(zlib.compress(one[name].tobytes())) for name in names) for one in (stored, exact))
    assert small < 0.4 * large


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9))
def test_fours_are_means_of_what_is_there(seed: int, height: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    share = np.where(generator.random((height, width)) < 0.3, 0, generator.integers(1, 256, (height, width))).astype(np.uint8)
    found = in_fours(share, 255)
    for row in range(height):
        for column in range(width):
            four = share[row // 2 * 2 : row // 2 * 2 + 2, column // 2 * 2 : column // 2 * 2 + 2]
            mean = four[four > 0].mean() if share[row, column] else 0
            assert abs(float(found[row, column]) - mean) <= 0.5


@given(st.floats(2.0**-14, 2.0**15), st.integers(1, 20))
def test_bits_are_the_nearest(value: float, bits: int) -> None:
    one = np.float32(value)
    fraction, exponent = np.frexp(np.float64(one))
    assert float(with_bits(np.array([one]), bits)[0]) in {
        np.ldexp(np.floor(fraction * 2 ** (bits + 1) + 0.5), exponent - bits - 1),
        np.ldexp(np.ceil(fraction * 2 ** (bits + 1) - 0.5), exponent - bits - 1),
    }


def test_depth_beyond_the_range_becomes_invalid_not_infinite() -> None:
    arrays = {"depth": np.array([[1e6, 2.0]], np.float32), "depth_valid": np.ones((1, 2), bool)}
    back = decode_labels(encode_labels(arrays, Fuse(depth_dtype="float16")))
    np.testing.assert_array_equal(back["depth_valid"], [[False, True]])
    np.testing.assert_array_equal(back["depth"], [[0, 2]])


def test_patch_fields_survive_the_store() -> None:
    shape = (2, 5, 6)
    everywhere = GENERATOR.random(shape) > 0.2
    fields = {
        "depth": Field("depth", GENERATOR.uniform(0.1, 60, shape).astype(np.float32), everywhere, "metre", "ray"),
        "semantics": Field(
            "semantics",
            GENERATOR.integers(0, 150, (*shape, 3)).astype(np.uint16),
            everywhere,
            "class",
            confidence=GENERATOR.random((*shape, 3)).astype(np.float32),
        ),
        "instances": Field(
            "instances",
            GENERATOR.integers(0, 4, shape).astype(np.uint16),
            everywhere,
            "segment",
            tables={"segment_class": np.ones((2, 3), np.int32), "segment_score": np.ones((2, 3), np.float32)},
        ),
    }
    about = {"fields": {name: {"unit": field.unit, "frame": field.frame} for name, field in fields.items()}}
    back = decode_fields(encode_fields(fields), about)
    assert back.keys() == fields.keys()
    np.testing.assert_allclose(back["depth"].values, np.where(everywhere, fields["depth"].values, 0), rtol=5e-4)
    np.testing.assert_array_equal(back["semantics"].values, fields["semantics"].values)
    np.testing.assert_allclose(back["semantics"].confidence, fields["semantics"].confidence, atol=0.51 / 255)
    np.testing.assert_array_equal(back["instances"].tables["segment_class"], np.ones((2, 3)))
    for name, field in back.items():
        np.testing.assert_array_equal(field.valid, fields[name].valid)


@pytest.mark.parametrize("unit", ["metre", "scale"])
@pytest.mark.parametrize("level", [1e-6, 1e-5, 1e-3, 1.0, 655.0, 3e4, 1e6])
def test_patch_distances_of_any_scale_survive_the_store(unit: str, level: float) -> None:
    """Every view has a scale of its own, and within a view distances span four orders of magnitude."""
    depth = np.exp(GENERATOR.uniform(np.log(0.01), np.log(100), (3, 16, 16))) * level * np.float32([1, 1e-3, 1e3])[:, None, None]
    valid = GENERATOR.random(depth.shape) > 0.2
    field = Field("depth", depth.astype(np.float32), valid, unit, "ray")
    stored = encode_fields({"depth": field})
    assert stored["depth"].dtype == np.float16
    back = decode_fields(stored, {"fields": {"depth": {"unit": unit, "frame": "ray"}}})["depth"]
    np.testing.assert_array_equal(back.valid, valid)
    assert np.abs(back.values / field.values - 1)[valid].max() <= 5e-4
    assert not back.values[~valid].any()


def test_views_without_a_distance_and_distances_beyond_any_type_are_stored_as_nothing() -> None:
    depth = np.ones((4, 2, 2), np.float32)
    valid = np.ones(depth.shape, bool)
    valid[1], depth[1], depth[2, 0, 0], depth[3, 0, 0] = False, np.nan, 1e6, 1e-6
    stored = encode_fields({"depth": Field("depth", depth, valid, "metre", "ray")})
    expected = valid.copy()
    expected[2, 0, 0] = expected[3, 0, 0] = False
    np.testing.assert_array_equal(stored["depth_valid"], expected)
    np.testing.assert_array_equal(stored["depth"], expected.astype(np.float16))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("level", [1e-6, 1e-3, 1.0, 3e4, 1e6])
def test_fused_distances_without_a_scale_are_stored_about_one(dtype: str, level: float) -> None:
    depth = (np.exp(GENERATOR.uniform(np.log(0.01), np.log(100), (32, 64))) * level).astype(np.float32)
    labels = {"depth": depth, "depth_valid": depth > 0.02 * level, "depth_consistency": np.full(depth.shape, 200, np.uint8)}
    kept = distances_to_store(labels, Fuse(depth_dtype=dtype), metric=False)
    back = decode_labels(encode_labels(kept, Fuse(depth_dtype=dtype)))
    valid = labels["depth_valid"]
    np.testing.assert_array_equal(back["depth_valid"], valid)
    np.testing.assert_array_equal(back["depth_consistency"], 200 * valid)
    assert np.median(back["depth"][valid]) == pytest.approx(1, rel=1e-3)
    ratio = back["depth"][valid] / depth[valid]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-3)


def test_fused_metres_are_told_as_what_their_type_holds() -> None:
    depth = np.array([[1e-6, 1e-4, 1.0, 6e4, 1e6]], np.float32)
    labels = {"depth": depth, "depth_valid": np.ones(depth.shape, bool), "depth_consistency": np.full(depth.shape, 9, np.uint8)}
    for dtype, held in (("float16", [[False, True, True, True, False]]), ("float32", [[True] * 5])):
        kept = distances_to_store(labels, Fuse(depth_dtype=dtype), metric=True)
        np.testing.assert_array_equal(kept["depth_valid"], held)
        np.testing.assert_array_equal(kept["depth_consistency"], np.where(held, 9, 0))
        back = decode_labels(encode_labels(labels, Fuse(depth_dtype=dtype)))
        np.testing.assert_array_equal(back["depth_valid"], held)
        np.testing.assert_allclose(back["depth"], np.where(held, depth, 0), rtol=5e-4)


def test_a_small_confidence_is_not_rounded_to_no_say() -> None:
    confidence = np.float32([[[0, 1e-6, 0.001, 0.5, 1.0, 7.0, np.nan]]])
    field = Field("depth", np.ones((1, 1, 7), np.float32), np.ones((1, 1, 7), bool), "metre", "ray", confidence)
    stored = encode_fields({"depth": field})["depth_confidence"]
    np.testing.assert_array_equal(stored[0, 0], [0, 1, 1, 128, 255, 255, 0])


def test_inverse_distances_keep_their_small_values() -> None:
    tiny = np.full((1, 2, 2), 1e-9, np.float32)
    field = Field("depth", tiny, np.ones((1, 2, 2), bool), "inverse", "ray")
    stored = encode_fields({"depth": field})
    np.testing.assert_array_equal(stored["depth"], tiny)


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(0, 100))
def test_random_views_depend_on_the_item_and_the_seed_alone(digest: str, seed: int) -> None:
    settings = Project.model_validate({"layout": {"kind": "random", "count": 3, "seed": seed}, "patch_size": 32})
    views = choose_views(settings, digest)
    assert views == choose_views(settings, digest)
    assert views == decode_cameras(encode_cameras(views))
    assert views != choose_views(settings, digest[::-1] + "f") or digest[:16] == digest[::-1][:16]
    assert all(np.radians(80) <= camera.fov <= np.radians(120) for camera in views)


@pytest.mark.parametrize(
    ("layout", "count"),
    [
        ({"kind": "cubemap"}, 6),
        ({"kind": "icosahedron"}, 20),
        ({"kind": "rings", "pitches_degrees": [-30, 30], "views_per_ring": 5}, 12),
        ({"kind": "random", "count": 7}, 7),
        ({"kind": "list", "views": [{"yaw_degrees": 90, "pitch_degrees": 10}]}, 1),
    ],
)
def test_every_layout_gives_its_views(layout: dict, count: int) -> None:
    assert len(choose_views(Project.model_validate({"layout": layout, "patch_size": 32}), "0" * 64)) == count


def test_a_listed_view_points_where_it_says() -> None:
    settings = Project.model_validate({"layout": {"kind": "list", "views": [{"yaw_degrees": 90, "pitch_degrees": 30}]}})
    (camera,) = project.choose_views(settings, "")
    assert isinstance(camera, Camera)
    np.testing.assert_allclose(camera.axis, [np.cos(np.pi / 6), -0.5, 0], atol=1e-12)
