"""Batches from real stores: right labels, the same at every resume, and clear words for what cannot be read."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from geometry.directions import erp_directions
from geometry.resampling.augment import Augmentation
from models.student.labels import check_label
from storage.arrays import DamagedBlock
from tasks.ingest.images.resizing import resize_image
from tasks.train.ahead import ordered_map
from tasks.train.labels.data import DataSettings, TrainingData
from tasks.train.labels.items import ItemSettings, resize_labels
from tests.support.label_store import CLASSES, labels_of, write_label_store

ITEM = ItemSettings(height=16)
SETTINGS = DataSettings(ITEM, batch_size=2, threads=2)
AUGMENTED = replace(SETTINGS, item=replace(ITEM, augmentation=Augmentation(tilt_degrees=5)))


def same(one, other):
    assert (one.epoch, one.step, one.items, one.skipped) == (other.epoch, other.step, other.items, other.skipped)
    assert torch.equal(one.images, other.images)
    assert one.labels.keys() == other.labels.keys()
    for task, label in one.labels.items():
        for name in ("value", "valid", "confidence"):
            assert torch.equal(getattr(label, name), getattr(other.labels[task], name))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_label_store(tmp_path_factory.mktemp("labels") / "first", count=7, bad=("p04",))


def test_labels_are_those_of_the_pixels(store):
    data = TrainingData([store], SETTINGS)
    assert (len(data), data.steps(0), data.classes) == (6, 3, CLASSES)
    seen = []
    for batch in data.batches(0):
        assert batch.images.shape == (2, 3, 16, 32)
        seen += batch.items
        for index in range(2):
            expected = labels_of(batch.images[index].permute(1, 2, 0).numpy())
            for task in ("depth", "normals", "semantics"):
                label = batch.labels[task]
                value = label.value[index].permute(1, 2, 0).squeeze(-1).numpy()
                valid = expected[f"{task}_valid"]
                np.testing.assert_array_equal(label.valid[index, 0].numpy(), valid)
                np.testing.assert_allclose(value[valid], expected[task][valid], rtol=1e-3, atol=1e-3)
            trust = batch.labels["depth"].confidence[index, 0].numpy()
            consistency = expected["depth_consistency"]
            assert (consistency == 0).any(), "where no two views judged a pixel it counts fully"
            np.testing.assert_allclose(trust, np.where(consistency == 0, 1, consistency / 255), rtol=1e-6)
    assert sorted(seen) == ["p00", "p01", "p02", "p03", "p05", "p06"]  # p04 was quarantined


def test_augmented_labels_still_fit_their_pixels(store):
    for batch in TrainingData([store], replace(AUGMENTED, item=replace(ITEM, augmentation=Augmentation()))).batches(3):
        for index in range(2):
            expected = labels_of(batch.images[index].permute(1, 2, 0).numpy())
            valid = batch.labels["depth"].valid[index, 0].numpy()
            np.testing.assert_array_equal(valid, expected["depth_valid"])
            np.testing.assert_allclose(batch.labels["depth"].value[index, 0].numpy()[valid], expected["depth"][valid], rtol=1e-3)
            np.testing.assert_array_equal(batch.labels["semantics"].value[index, 0].numpy(), expected["semantics"])
            normals = batch.labels["normals"].value[index].permute(1, 2, 0).numpy()
            np.testing.assert_allclose(normals, -erp_directions(16, 32), atol=2e-3)


def test_labels_pass_the_checks_of_the_losses(store):
    for batch in TrainingData([store], AUGMENTED).batches(0):
        for task, channels in (("depth", 1), ("normals", 3), ("semantics", len(CLASSES))):
            check_label(task, batch.labels[task], channels, (16, 32))


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_run_goes_on_anywhere_as_if_it_had_never_stopped(store, step):
    whole = list(TrainingData([store], AUGMENTED).batches(5))
    again = list(TrainingData([store], replace(AUGMENTED, threads=1, ahead=1)).batches(5, step))
    assert len(again) == 3 - step
    for one, other in zip(again, whole[step:], strict=True):
        same(one, other)


def test_epochs_differ_in_order_and_in_augmentation(store):
    data = TrainingData([store], AUGMENTED)
    first, second = next(data.batches(0)), next(data.batches(1))
    assert not torch.equal(first.images, second.images)


def test_two_processes_see_what_one_would(store):
    data = TrainingData([store], SETTINGS)
    one = [item for batch in data.batches(2) for item in batch.items]
    ranks = [list(data.batches(2, rank=rank, world=3)) for rank in range(3)]
    assert [len(batches) for batches in ranks] == [1, 1, 1]
    assert [item for batches in ranks for item in batches[0].items] == one


def test_labels_of_another_size_are_taken_not_mixed(store):
    data = TrainingData([store], replace(SETTINGS, item=replace(ITEM, height=12)))
    for batch in data.batches(0):
        assert batch.images.shape == (2, 3, 12, 24)
        assert batch.labels["normals"].value.shape == (2, 3, 12, 24)
        angle = (batch.labels["normals"].value * -torch.from_numpy(erp_directions(12, 24)).permute(2, 0, 1)).sum(1)
        assert torch.rad2deg(torch.acos(angle.clamp(-1, 1))).max() < 0.75 * 180 / 16  # half a stored pixel's diagonal


def test_resizing_labels_takes_the_pixel_that_holds_the_direction():
    labels = np.arange(16 * 32).reshape(16, 32)
    np.testing.assert_array_equal(resize_labels(labels, 48)[1::3, 1::3], labels)
    rows = resize_labels(labels, 10)[:, 0] // 32
    np.testing.assert_array_equal(rows, np.floor((np.arange(10) + 0.5) * 1.6))
    image = np.full((16, 32, 3), 77, np.uint8)
    assert (resize_image(image, 6) == 77).all()
    assert resize_image(image, 24).shape == (24, 48, 3)


def test_several_stores_are_mixed_by_weight_and_lacking_tasks_are_masked(store, tmp_path):
    depth_only = write_label_store(tmp_path / "second", count=3, fields=("depth",), classes=(), weight=2.0)
    data = TrainingData([store, depth_only], SETTINGS)
    assert (len(data), data.steps(0)) == (9, 6)
    counts: dict[str, int] = {}
    for batch in data.batches(0):
        for index, name in enumerate(batch.items):
            valid = bool(batch.labels["normals"].valid[index].any())
            key = f"{'first' if valid else 'second'}/{name}"
            counts[key] = counts.get(key, 0) + 1
            assert batch.labels["depth"].valid[index].any()
    assert counts == {**{f"first/p0{n}": 1 for n in (0, 1, 2, 3, 5, 6)}, **{f"second/p0{n}": 2 for n in range(3)}}


def test_derived_labels_see_the_augmented_panorama(store):
    def distances(arrays):
        points = arrays["depth"][..., None] * erp_directions(16, 32)
        return {"points": points.astype(np.float32), "points_valid": arrays["depth_valid"]}

    item = replace(ITEM, augmentation=Augmentation(), derive=distances)
    for batch in TrainingData([store], replace(SETTINGS, item=item)).batches(0):
        label = batch.labels["points"]
        torch.testing.assert_close(label.value.norm(dim=1, keepdim=True), batch.labels["depth"].value)
        assert label.confidence is None


def test_without_confidence_all_valid_pixels_count_alike(store):
    batch = next(TrainingData([store], replace(SETTINGS, item=replace(ITEM, confidence=False))).batches(0))
    assert all(label.confidence is None for label in batch.labels.values())


def test_a_panorama_that_changed_is_skipped_with_its_reason_and_teaches_nothing(tmp_path):
    store = write_label_store(tmp_path / "changing", count=4)
    image = Path(store.blocks[0][1].items[1].uri)
    image.write_bytes(b"other")
    batches = list(TrainingData([store], SETTINGS).batches(0))
    reasons = {name: reason for batch in batches for name, reason in batch.skipped.items()}
    assert list(reasons) == ["p01"]
    assert "changed" in reasons["p01"]
    for batch in batches:
        for index, name in enumerate(batch.items):
            assert all(bool(label.valid[index].any()) == (name != "p01") for label in batch.labels.values())


def test_damaged_labels_stop_training(tmp_path):
    store = write_label_store(tmp_path / "damaged", count=2)
    for chunk in Path(store.blocks[0][0], "data.zarr", "depth", "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    with pytest.raises(DamagedBlock, match="receipt is withdrawn"):
        list(TrainingData([store], SETTINGS).batches(0))


def test_what_cannot_be_trained_on_is_said_at_once(store, tmp_path):
    with pytest.raises(ValueError, match="no labelled panorama is in the split 'val'; there are: train"):
        TrainingData([store], replace(SETTINGS, split="val"))
    with pytest.raises(ValueError, match="6 panoramas of the split 'train' do not fill a batch of 8"):
        TrainingData([store], replace(SETTINGS, batch_size=8))
    depth_only = write_label_store(tmp_path / "depth", fields=("depth",))
    with pytest.raises(ValueError, match="no store has labels of normals, only depth"):
        TrainingData([depth_only], SETTINGS)
    others = write_label_store(tmp_path / "others", classes=("a", "b"))
    with pytest.raises(ValueError, match="different classes"):
        TrainingData([store, others], SETTINGS)
    split = write_label_store(tmp_path / "split", splits=("train", "val"))
    assert len(TrainingData([split], replace(SETTINGS, split="val", batch_size=1))) == 3


def test_results_keep_their_order_and_no_more_than_asked_is_begun():
    begun = []

    def work(number):
        begun.append(number)
        return number * number

    results = ordered_map(work, range(100), threads=3, ahead=5)
    assert list(islice(results, 3)) == [0, 1, 4]
    results.close()
    assert max(begun) <= 3 + 5
    assert list(ordered_map(work, [], 2, 2)) == []


def test_an_error_comes_out_in_its_turn():
    def work(number):
        if number == 3:
            raise OSError("the disk is gone")
        return number

    results = ordered_map(work, range(10), threads=2, ahead=4)
    assert list(islice(results, 3)) == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)
