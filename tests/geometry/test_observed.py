"""What was photographed: nothing valid follows from any other pixel, whatever the mask and the views."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry import layouts
from geometry.directions import erp_directions
from geometry.fields import Field, spread, where_observed
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.instances.fuse import InstanceSettings, fuse_instances
from geometry.observed import looking_at, observed_at, observed_in_patches
from geometry.resampling.augment import Augmentation, augment
from geometry.resampling.backproject import backprojection
from geometry.resampling.patches import extract_patches
from geometry.surfaces.gradients import surrounded
from tasks.ingest.images.resizing import resize_image

HEIGHT, WIDTH, SIZE = 48, 96, 20


def some_mask(generator: np.random.Generator, height: int = HEIGHT) -> np.ndarray:
    """Holes of all sorts: a band, a crop, a cap, or single pixels."""
    kind = generator.integers(4)
    mask = np.ones((height, 2 * height), bool)
    if kind == 0:
        top, bottom = np.sort(generator.integers(0, height, 2))
        mask[:top] = mask[bottom + 1 :] = False
    elif kind == 1:
        mask[:, : generator.integers(1, 2 * height)] = False
    elif kind == 2:
        axis = generator.normal(size=3)
        mask = erp_directions(height, 2 * height) @ (axis / np.linalg.norm(axis)) > generator.uniform(-0.9, 0.9)
    else:
        mask = generator.random(mask.shape) > generator.choice([0.001, 0.05, 0.5])
    return mask


def two_pictures(mask: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that differ in what the mask leaves out, and nowhere else."""
    one, other = generator.integers(0, 256, (2, *mask.shape, 3)).astype(np.uint8)
    return one, np.where(mask[..., None], one, other)


def some_views(generator: np.random.Generator) -> tuple:
    return layouts.random(SIZE, 6, generator, (0.8, 1.9), (-1.5, 1.5))


def said(cameras: tuple, generator: np.random.Generator) -> dict[str, Field]:
    """Fields that are valid everywhere: a teacher that does not know what was photographed."""
    shape = (len(cameras), SIZE, SIZE)
    everywhere = np.ones(shape, bool)
    order = np.argsort(generator.random((*shape, 3)), axis=-1).astype(np.uint16)
    sure = np.sort(generator.dirichlet(np.ones(3), shape), axis=-1)[..., ::-1].astype(np.float32)
    tables = {
        "segment_class": np.tile([0, 1, 2], (len(cameras), 1)).astype(np.int32),
        "segment_score": np.ones((len(cameras), 3)),
    }
    return {
        "depth": Field("depth", generator.uniform(1, 9, shape).astype(np.float32), everywhere, "metre", "ray"),
        "normals": Field("normals", -np.stack([c.directions() for c in cameras]).astype(np.float32), everywhere, "unit", "world"),
        "semantics": Field("semantics", order, everywhere, "class", confidence=sure),
        "sky": Field("sky", (generator.random(shape) < 0.2).astype(np.float32), everywhere, "probability"),
        "instances": Field("instances", generator.integers(0, 4, shape).astype(np.uint16), everywhere, "segment", tables=tables),
    }


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([32, 48, 96, 200]))
def test_a_patch_pixel_counts_only_if_nothing_unseen_flows_into_it(seed: int, antialias: bool, height: int) -> None:
    generator = np.random.default_rng(seed)
    mask, cameras = some_mask(generator, height), some_views(generator)
    seen = observed_in_patches(mask, cameras, antialias)
    one, other = (extract_patches(picture, cameras, antialias=antialias) for picture in two_pictures(mask, generator))
    np.testing.assert_array_equal(one[seen], other[seen])
    if mask.all():
        assert seen.all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([16, 20, 48, 64]))
def test_a_resized_pixel_counts_only_if_nothing_unseen_flows_into_it(seed: int, height: int) -> None:
    generator = np.random.default_rng(seed)
    mask = some_mask(generator)
    seen = observed_at(mask, height)
    one, other = (resize_image(picture, height) for picture in two_pictures(mask, generator))
    assert seen.shape == (height, 2 * height)
    np.testing.assert_array_equal(one[seen], other[seen])


def test_no_more_than_the_border_is_lost() -> None:
    band = np.zeros((64, 128), bool)
    band[16:48] = True
    assert observed_at(band, 32)[8:24].all()
    assert observed_at(band, 64) is band
    rows = observed_at(band, 128).all(axis=1)
    assert (rows.sum(), rows[33:95].all()) == (62, True), "beyond, half a pixel away, black is mixed in"
    level = layouts.rings(64, np.radians(60), np.array([0.0]), [0.0], poles=False)
    assert observed_in_patches(band, level)[:, 1:-1].all(), "a view that looks well inside the band sees all of it"


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["roll", "mirror", "tilt"]))
def test_a_changed_item_counts_only_what_nothing_unseen_flows_into(seed: int, how: str) -> None:
    generator = np.random.default_rng(seed)
    mask = some_mask(generator)
    change = Augmentation(how == "roll", how == "mirror", 30.0 if how == "tilt" else 0.0)
    one, other = (
        augment({"image": picture, "observed": mask}, change, np.random.default_rng(seed))
        for picture in two_pictures(mask, generator)
    )
    np.testing.assert_array_equal(one["observed"], other["observed"])
    np.testing.assert_array_equal(one["image"][one["observed"]], other["image"][one["observed"]])
    if how != "tilt":
        assert one["observed"].sum() == mask.sum()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["single", "blend", "align", "gradient"]),
    st.sampled_from(["metre", "scale", "inverse"]),
    st.booleans(),
)
def test_fused_labels_lie_within_the_mask(seed: int, depth: str, unit: str, enforce: bool) -> None:
    """Whether the teacher's fields were cut to the photograph or not, and whatever views show nothing of it at all."""
    generator = np.random.default_rng(seed)
    mask, cameras = some_mask(generator), some_views(generator)
    fields = said(cameras, generator)
    fields["depth"] = replace(fields["depth"], unit=unit)
    if seed % 2:
        seen = observed_in_patches(mask, cameras)
        fields = {name: where_observed(field, seen) for name, field in fields.items()}
    how = FusionSettings(depth=depth, enforce_normals=enforce, classes=3)  # type: ignore[arg-type]
    labels = fuse(fields, cameras, HEIGHT, WIDTH, how, mask)
    for name, array in labels.items():
        assert not array[~mask].any(), name
    ids = fuse_instances(fields["instances"], cameras, HEIGHT, WIDTH, InstanceSettings(min_support=0), observed=mask)
    assert not ids["instances"][~mask].any()
    np.testing.assert_array_equal(np.unique(ids["instances"][ids["instances"] > 0]), 1 + np.arange(len(ids["instance_area"])))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_what_single_views_say_of_the_unseen_changes_no_label(seed: int) -> None:
    """Teachers say anything of black: with the fields cut to what patches show of the photograph, nothing of it gets through."""
    generator = np.random.default_rng(seed)
    mask, cameras = some_mask(generator), some_views(generator)
    seen = observed_in_patches(mask, cameras)
    one, other = said(cameras, generator), said(cameras, generator)
    mixed = {}
    for name, field in one.items():
        kept = seen.reshape(*seen.shape, *(1,) * (field.values.ndim - 3))
        sure = field.confidence if field.confidence is None else np.where(kept, field.confidence, other[name].confidence)
        mixed[name] = Field(
            name, np.where(kept, field.values, other[name].values), field.valid, field.unit, field.frame, sure, field.tables
        )
    labels = [
        fuse(
            {name: where_observed(f, seen) for name, f in fields.items()},
            cameras,
            HEIGHT,
            WIDTH,
            FusionSettings(depth="align"),
            mask,
        )
        for fields in (one, mixed)
    ]
    for name in labels[0]:
        np.testing.assert_array_equal(labels[0][name], labels[1][name], err_msg=name)


def test_a_mask_of_everything_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    cameras = layouts.icosahedron(SIZE)
    fields = said(cameras, generator)
    whole = np.ones((HEIGHT, WIDTH), bool)
    for depth in ("single", "blend", "align", "gradient"):
        how = FusionSettings(depth=depth, classes=3)  # type: ignore[arg-type]
        plain, masked = fuse(fields, cameras, HEIGHT, WIDTH, how), fuse(fields, cameras, HEIGHT, WIDTH, how, whole)
        for name in plain:
            assert plain[name].tobytes() == masked[name].tobytes(), name


def test_views_that_were_not_shown_say_nothing() -> None:
    generator = np.random.default_rng(1)
    cameras = some_views(generator)
    shown = np.array([True, False, True, True, False, True])
    for field in said(tuple(camera for camera, there in zip(cameras, shown) if there), generator).values():
        whole = spread(field, shown)
        assert not whole.valid[~shown].any()
        np.testing.assert_array_equal(whole.values[shown], field.values)
        for name, table in whole.tables.items():
            assert (table[~shown] == -1).all(), name
        assert whole.values.dtype == field.values.dtype


def test_neighbours_are_those_of_the_sphere() -> None:
    mask = np.ones((8, 16), bool)
    mask[0, 3] = False
    inside = surrounded(mask)
    assert not inside[0, 3]
    assert not inside[0, 11], "over the pole"
    assert not inside[1, 3]
    assert inside[4:].all()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask of observed pixels is \(8, 16\)"):
        looking_at(backprojection(layouts.icosahedron(8)[0], 16, 32), np.ones((8, 16), bool))
