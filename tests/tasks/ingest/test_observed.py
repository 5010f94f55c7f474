"""Labels, figures and the audit of panoramas that were photographed in part, stage by stage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geometry import layouts
from geometry.fields import Field
from metrics.audit.bands import edges, splits
from metrics.panorama import coverage_figures, evaluate_item
from metrics.protocols import protocol_named
from storage.items import Item
from tasks.evaluate.audit import truth_labels
from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.images.decode import open_panorama
from tasks.ingest.observed import observed_of, partly_observed, require_observed
from tasks.ingest.settings import Ingest
from tasks.label.fuse import require_labels
from tasks.label.teachers.looking import Patches, look_at_observed
from tasks.predict.predict import as_labels
from tasks.stage.job import BadItem
from tests.support.datasets import png

HEIGHT, WIDTH, SIZE = 32, 64, 16
OURS = protocol_named("panolabel")
SEEN = np.zeros((HEIGHT, WIDTH), bool)
SEEN[10:20, 5:50] = True


class Counting:
    """Says the same of every pixel, and counts the views that it is shown."""

    classes, fields = ("a", "b"), ("depth", "instances")

    def __init__(self) -> None:
        self.shown: list = []

    def __call__(self, patches, cameras, item):
        self.shown += cameras
        everywhere = np.ones(patches.shape[:3], bool)
        tables = {"segment_class": np.zeros((len(patches), 2), np.int32), "segment_score": np.ones((len(patches), 2), np.float32)}
        depth = Field("depth", np.ones(everywhere.shape, np.float32), everywhere, "scale", "ray")
        return {
            "depth": depth,
            "instances": Field("instances", np.ones(everywhere.shape, np.uint16), everywhere, "segment", tables=tables),
        }


def patches_of(observed: np.ndarray) -> Patches:
    cameras = layouts.icosahedron(SIZE)
    return Patches(np.zeros((len(cameras), SIZE, SIZE, 3), np.uint8), cameras, observed)


def test_views_that_show_nothing_are_not_looked_at() -> None:
    observed = np.zeros((20, SIZE, SIZE), bool)
    observed[3, :4] = observed[7] = observed[18, 5, 5] = True
    teacher, patches = Counting(), patches_of(observed)
    fields = look_at_observed(teacher, patches, {"item": "x"}, ("depth", "instances"), 2)
    assert teacher.shown == [patches.cameras[index] for index in (3, 7, 18)]
    for field in fields.values():
        np.testing.assert_array_equal(field.valid, observed)
        np.testing.assert_array_equal(field.values != 0, observed)
    np.testing.assert_array_equal((fields["instances"].tables["segment_class"] == 0).all(axis=1), observed.any(axis=(1, 2)))
    whole = replace(patches, observed=None)
    assert all(field.valid.all() for field in look_at_observed(Counting(), whole, {"item": "x"}, ("depth",), 8).values())


def test_what_no_view_shows_is_given_up() -> None:
    with pytest.raises(BadItem, match="no view shows a pixel that was photographed"):
        look_at_observed(Counting(), patches_of(np.zeros((20, SIZE, SIZE), bool)), {"item": "x"}, ("depth",), 8)
    with pytest.raises(BadItem, match="no pixel of it was photographed whole, as seen at 32 rows"):
        require_observed(np.zeros((HEIGHT, WIDTH), bool))
    require_observed(None)
    require_observed(SEEN)
    nothing = {"depth_valid": np.zeros((HEIGHT, WIDTH), bool), "sky": np.ones((HEIGHT, WIDTH), bool)}
    with pytest.raises(BadItem, match=r"no label is valid in the 21.97% of its pixels that were photographed"):
        require_labels(nothing, SEEN)
    require_labels(nothing, None)
    require_labels({"sky": nothing["sky"]}, SEEN)


def test_a_hole_too_small_for_its_share_still_counts(tmp_path: Path) -> None:
    """The share of the sphere is rounded to 1, and named: an item counts as whole only where none is."""
    item = Item("x", "x", "0" * 64, 8, 16, 1, "", figures={"observed": 1.0})
    assert partly_observed(item)
    assert not partly_observed(replace(item, figures={}))
    file = tmp_path / "band.png"
    file.write_bytes(png(np.full((31, 64, 3), 7, np.uint8)))
    entry = Entry("band", str(file), 1, "", metadata={"vertical_degrees": 31 * 180 / 32})
    assert partly_observed(check_entry(entry, Ingest(min_width=16)))
    whole = open_panorama(png(np.full((32, 64, 3), 7, np.uint8)), Ingest(min_width=16))
    assert observed_of(whole, 16) is None


def test_what_a_student_says_of_black_is_no_label() -> None:
    generator = np.random.default_rng(0)
    said = {
        "depth": generator.uniform(1, 2, (HEIGHT, WIDTH)).astype(np.float32),
        "normals": np.ones((HEIGHT, WIDTH, 3), np.float32),
        "semantics": generator.dirichlet(np.ones(3), (HEIGHT, WIDTH)).astype(np.float32),
    }
    plain, part = as_labels(said, 1), as_labels(said, 1, SEEN)
    assert plain.keys() == part.keys()
    for name in part:
        assert not part[name][~SEEN].any(), name
        np.testing.assert_array_equal(part[name][SEEN], plain[name][SEEN])
    assert plain["views"].all()


def made_up(generator: np.random.Generator, valid: np.ndarray) -> dict[str, np.ndarray]:
    normals = generator.normal(size=(HEIGHT, WIDTH, 3))
    sure = generator.integers(1, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    return {
        "views": np.ones((HEIGHT, WIDTH), np.uint8),
        "depth": generator.uniform(1, 9, (HEIGHT, WIDTH)).astype(np.float32) * valid,
        "depth_valid": valid,
        "depth_consistency": sure * valid,
        "normals": (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32) * valid[..., None],
        "normals_valid": valid,
        "normals_agreement": sure * valid,
        "semantics": generator.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8) * valid,
        "semantics_valid": valid,
        "semantics_confidence": sure * valid,
        "instances": generator.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint16) * valid,
        "panoptic": generator.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8) * valid,
        "panoptic_valid": valid,
        "sky": (generator.random((HEIGHT, WIDTH)) < 0.2) & valid,
    }


def test_coverage_is_a_share_of_what_was_photographed() -> None:
    generator = np.random.default_rng(1)
    valid = SEEN & (generator.random(SEEN.shape) < 0.7)
    labels = made_up(generator, valid)
    figures = coverage_figures(labels, OURS, SEEN)
    area = np.cos((0.5 - (np.arange(HEIGHT) + 0.5) / HEIGHT) * np.pi)[:, None] * np.ones(WIDTH)
    assert figures["depth"] == pytest.approx(area[valid].sum() / area[SEEN].sum(), rel=1e-12)
    assert figures["sky"] == pytest.approx(area[labels["sky"]].sum() / area[SEEN].sum(), rel=1e-12)
    assert coverage_figures(labels, OURS)["depth"] == pytest.approx(area[valid].sum() / area.sum(), rel=1e-12)
    assert coverage_figures(labels, OURS, np.ones_like(SEEN)) == coverage_figures(labels, OURS)


def test_truth_outside_is_not_judged() -> None:
    """Whatever the truth says of what nobody photographed, no figure changes."""
    generator = np.random.default_rng(2)
    labels = made_up(generator, SEEN)
    truth = {
        "depth": generator.uniform(1, 9, (HEIGHT, WIDTH)).astype(np.float32),
        "normals": made_up(generator, np.ones_like(SEEN))["normals"],
        "semantics": generator.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8),
        "instances": generator.integers(0, 3, (HEIGHT, WIDTH)).astype(np.int32),
        "sky": np.zeros((HEIGHT, WIDTH), bool),
    }
    other = {name: np.where(SEEN.reshape(*SEEN.shape, *(1,) * (a.ndim - 2)), a, np.roll(a, 7, 1)) for name, a in truth.items()}
    classes = ("a", "b", "c")
    one, two = (evaluate_item(labels, given, classes, classes, OURS, ("b",), SEEN) for given in (truth, other))
    assert one == two
    assert evaluate_item(labels, truth, classes, classes, OURS, ("b",)) != evaluate_item(
        labels, other, classes, classes, OURS, ("b",)
    ), "panoptic quality used to count it"
    everything = np.ones_like(SEEN)
    labels = made_up(generator, everything)
    assert evaluate_item(labels, truth, classes, classes, OURS, ("b",), everything) == evaluate_item(
        labels, truth, classes, classes, OURS, ("b",)
    )


def test_padded_truth_is_no_class() -> None:
    """Rows above and below a band of truth have class 0 and say by ``semantics_valid`` that they say nothing."""
    generator = np.random.default_rng(3)
    truth = {
        "semantics": np.zeros((HEIGHT, WIDTH), np.uint8),
        "semantics_valid": SEEN,
        "instances": np.zeros((HEIGHT, WIDTH), int),
    }
    np.testing.assert_array_equal(truth_labels(truth, (HEIGHT, WIDTH), 3)["semantics_valid"], SEEN)
    less = np.roll(SEEN, 3, axis=0)
    np.testing.assert_array_equal(truth_labels(truth, (HEIGHT, WIDTH), 3, less)["semantics_valid"], SEEN & less)
    labels = made_up(generator, np.ones_like(SEEN))
    labels["panoptic"][:] = labels["instances"][:] = 0
    figures = evaluate_item(labels, truth, ("a", "b"), ("a", "b"), OURS, ("b",))
    assert figures["panoptic"]["pq"] == 1
    labels["panoptic"][~SEEN] = 1
    assert evaluate_item(labels, truth, ("a", "b"), ("a", "b"), OURS, ("b",))["panoptic"]["pq_stuff"] == 1


def test_the_border_of_what_was_photographed_is_no_edge() -> None:
    """Bands by distance to an edge are those of the edges within."""
    reference = {
        "depth": np.where(SEEN, 2, 0).astype(np.float32),
        "depth_valid": SEEN,
        "semantics": np.zeros(SEEN.shape, np.uint8),
        "semantics_valid": SEEN,
    }
    assert edges(reference).any()
    assert not edges(reference, SEEN).any()
    reference["semantics"][:, 30:] = 1
    beside = np.zeros_like(SEEN)
    beside[10:20, 29:31] = True
    np.testing.assert_array_equal(edges(reference, SEEN), beside)
    everything = np.ones_like(SEEN)
    whole = {**reference, "depth": np.full_like(reference["depth"], 2), "depth_valid": everything, "semantics_valid": everything}
    for one, other in zip(
        splits(whole, ("a", "b"), layouts.icosahedron(8)), splits(whole, ("a", "b"), layouts.icosahedron(8), everything)
    ):
        np.testing.assert_array_equal(one.index, other.index, err_msg=one.name)
