"""Auxiliary labels in batches: those of the geometry room, known where they can be, and true after augmentation."""

import numpy as np
import pytest
import torch

from geometry.directions import erp_directions
from geometry.resampling.augment import Augmentation, roll
from geometry.surfaces.auxiliaries import EDGE_LIMIT, point_map
from models.student import StudentModel
from models.student.configuration import tiny_config
from models.student.losses import student_losses
from tasks.train.labels.auxiliaries import deriving
from tasks.train.labels.data import DataSettings, TrainingData
from tasks.train.labels.items import ItemSettings
from tests.support.label_store import CLASSES, write_label_store

TASKS = ("depth", "normals", "semantics")
SIZE = (32, 64)


def two_halves() -> dict[str, np.ndarray]:
    """Class 1 right of the image's centre and 0 left of it, at one distance; everything is labelled."""
    everywhere = np.ones(SIZE, bool)
    semantics = np.zeros(SIZE, np.uint8)
    semantics[:, 32:] = 1
    return {
        "image": np.full((*SIZE, 3), 100, np.uint8), "depth": np.full(SIZE, 2, np.float32), "depth_valid": everywhere,
        "normals": -erp_directions(*SIZE, np.float32), "normals_valid": everywhere,
        "semantics": semantics, "semantics_valid": everywhere.copy(),
    }  # fmt: skip


def test_each_auxiliary_label_comes_with_its_mask_in_its_shape():
    derived = deriving(TASKS, 0.1)(two_halves())
    shapes = {name: array.shape for name, array in derived.items()}
    masks = {f"{name}_valid": SIZE for name in ("points", "image_gradient", "edge_distance")}
    assert shapes == {"points": (*SIZE, 3), "image_gradient": (*SIZE, 2), "edge_distance": SIZE, **masks}
    np.testing.assert_allclose(np.linalg.norm(derived["points"], axis=-1), 2, rtol=1e-6)


def test_an_edge_distance_is_known_only_where_no_hole_is_nearer():
    arrays = two_halves()
    arrays["semantics_valid"][:, 36:42] = False
    arrays["depth_valid"] = arrays["semantics_valid"]
    derived = deriving(("depth", "semantics"), 0.1)(arrays)
    known, middle = derived["edge_distance_valid"], 16
    assert not known[middle, 36:42].any()
    # The edge lies at columns 31 and 32, and column 35 may be one, beside the hole: 33 is nearer to the former, 34 to the latter.
    assert known[middle, 26:34].all()
    assert not known[middle, 34:36].any()
    whole = deriving(("depth", "semantics"), 0.1)(two_halves())
    np.testing.assert_array_equal(derived["edge_distance"][known], whole["edge_distance"][known])


def test_only_what_follows_from_the_tasks_is_derived():
    normals = {name: array for name, array in two_halves().items() if name.split("_")[0] in ("image", "normals")}
    assert deriving(("normals",), 0.1)(normals).keys() == {"image_gradient", "image_gradient_valid"}


def test_points_turn_with_the_panorama():
    arrays = two_halves()
    arrays["depth"] = np.random.default_rng(0).uniform(1, 5, SIZE).astype(np.float32)
    turned = deriving(("depth",), 0.1)(roll({name: arrays[name] for name in ("image", "depth", "depth_valid")}, 8))["points"]
    points = roll({"points": point_map(arrays["depth"])}, 8)["points"]
    np.testing.assert_allclose(turned, points, atol=1e-5)


@pytest.mark.parametrize("skipped", [False, True])
def test_the_losses_take_them_from_batches(tmp_path, skipped):
    store = write_label_store(tmp_path / "labels", count=2)
    if skipped:
        (tmp_path / "labels" / "images" / "p00.png").unlink()
    item = ItemSettings(16, TASKS, augmentation=Augmentation(tilt_degrees=10), derive=deriving(TASKS, 0.1))
    (batch,) = TrainingData([store], DataSettings(item, 2, threads=1)).batches(0)
    assert batch.labels["edge_distance"].value.max() <= EDGE_LIMIT
    if skipped:
        black = batch.items.index("p00")
        assert not any(label.valid[black].any() for label in batch.labels.values())
    torch.manual_seed(0)
    terms = student_losses(StudentModel(tiny_config("dinov2", CLASSES))(batch.images / 255), batch.labels)
    for name in ("points", "image_gradient", "edge_distance"):
        assert terms[f"preliminary.{name}"] > 0
    assert torch.stack(list(terms.values())).sum().isfinite()
