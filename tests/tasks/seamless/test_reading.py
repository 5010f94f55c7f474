"""Every data set, written file by file in its layout, is read back as the street that it shows."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.ingest.entries import SourceError
from tasks.seamless import SEAMLESS_SETS
from tasks.seamless.coco_panoptic import amodals_of, segments_of
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.vocabularies import A2B, A2B_OF_LABEL_ID, A2B_OF_TRAIN_ID, IGNORED, K2B, THINGS
from tasks.stage.job import BadItem
from tests.support import seamless_sets as sets

AMODAL = {
    "kitti360_aps": (sets.write_kitti360_aps, "train", "train/0000_1", ("car", "pedestrians")),
    "blendpass": (sets.write_blendpass, "val", "val/12", ("car", "pedestrians")),
    "amodal_synth_drive": (sets.write_amodal_synth_drive, "train", "train/front/s1/0001", ("car", "person")),
}


@pytest.fixture(autouse=True)
def forget_lists() -> None:
    segments_of.cache_clear()
    amodals_of.cache_clear()


@pytest.mark.parametrize("kind", sorted(AMODAL))
def test_amodal_labels(kind: str, tmp_path: Path) -> None:
    write, split, item, names = AMODAL[kind]
    write(tmp_path)
    data, shown = open_seamless_data(kind, str(tmp_path), split), sets.street()
    assert [entry.item for entry in data.entries] == [item]
    image, truth = data.labelled(0)
    assert (image.shape, image.dtype) == ((sets.HEIGHT, sets.WIDTH, 3), np.uint8)
    assert truth.wholes is not None
    classes = data.about.classes
    objects = {(classes[label], crowd): place for place, (label, crowd) in enumerate(zip(truth.classes, truth.crowd))}
    assert set(objects) == {(names[0], False), (names[1], False), ("car", True)}
    for index, name in enumerate(names):
        np.testing.assert_array_equal(truth.wholes[objects[name, False]], shown.wholes[index])
        np.testing.assert_array_equal(truth.visible[objects[name, False]], shown.visible[index])
    np.testing.assert_array_equal(truth.visible[objects["car", True]], shown.crowd)
    expected = np.where(shown.road, 0, 10)
    for index, name in enumerate(names):
        expected[shown.visible[index]] = classes.index(name)
    expected[shown.void | shown.crowd] = IGNORED
    np.testing.assert_array_equal(truth.semantics, expected)


def test_cityscapes_says_nothing_of_what_is_hidden(tmp_path: Path) -> None:
    sets.write_cityscapes(tmp_path)
    truth, shown = open_seamless_data("cityscapes", str(tmp_path), "train").truth(0), sets.street()
    assert truth is not None
    assert truth.wholes is None
    assert [(A2B[label], crowd) for label, crowd in zip(truth.classes, truth.crowd)] == [
        ("car", True), ("person", False), ("car", False),
    ]  # fmt: skip
    np.testing.assert_array_equal(truth.visible[[2, 1]], shown.visible)


@pytest.mark.parametrize("kind", ["densepass", "pass"])
def test_training_ids_give_classes_without_trains(kind: str, tmp_path: Path) -> None:
    sets.write_densepass(tmp_path)
    data, shown = open_seamless_data(kind, str(tmp_path)), sets.street()
    assert [entry.item for entry in data.entries] == ["train/200", "val/cs/100"]
    assert data.truth(0) is None
    truth = data.truth(1)
    assert truth is not None
    assert len(truth.visible) == 0
    np.testing.assert_array_equal(truth.semantics == IGNORED, shown.crowd & ~shown.void | shown.void)
    assert (truth.semantics[shown.visible[0]] == A2B.index("car")).all()


def test_any_folder_of_panoramas(tmp_path: Path) -> None:
    sets.save(tmp_path / "a/one.jpg", sets.picture())
    sets.save(tmp_path / "two.PNG", sets.picture()[..., 0])
    (tmp_path / "notes.txt").write_text("")
    data = open_seamless_data("unlabelled", str(tmp_path))
    assert [entry.item for entry in data.entries] == ["a/one", "two"]
    assert [data.image(index).shape for index in range(2)] == [(sets.HEIGHT, sets.WIDTH, 3)] * 2
    assert data.truth(0) is None
    with pytest.raises(BadItem, match="has no labels"):
        data.labelled(0)


def test_blendpass_is_for_learning_without_labels_and_for_measuring_with_them(tmp_path: Path) -> None:
    sets.write_blendpass(tmp_path)
    data = open_seamless_data("blendpass", str(tmp_path), "train")
    assert ([entry.item for entry in data.entries], data.truth(0)) == (["train/Oslo/7"], None)
    assert {kind for kind, about in SEAMLESS_SETS.items() if about.panoramas} == {"blendpass", "densepass", "pass", "unlabelled"}


def test_vocabularies() -> None:
    assert K2B == (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky",
        "pedestrians", "cyclists", "car", "truck", "other vehicles", "van", "two-wheeler",
    )  # fmt: skip
    assert A2B[11:] == ("person", "rider", "car", "truck", "bus", "motorcycle", "bicycle")
    assert (A2B[:11], list(THINGS)) == (K2B[:11], list(range(11, 18)))
    # Cityscapes' own table, from its documentation: label id -> name.
    table = {
        7: "road",
        8: "sidewalk",
        11: "building",
        12: "wall",
        13: "fence",
        17: "pole",
        19: "traffic light",
        20: "traffic sign",
    }
    table |= {21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus"}
    table |= {32: "motorcycle", 33: "bicycle"}
    assert {number: A2B[label] for number, label in enumerate(A2B_OF_LABEL_ID) if label != IGNORED} == table
    assert A2B_OF_TRAIN_ID.tolist() == [*range(16), IGNORED, 16, 17]


def _drop_whole(root: Path) -> None:
    path = root / "annotations/train.json"
    content = json.loads(path.read_text())
    content["annotations"].pop()
    path.write_text(json.dumps(content))


def _strange_category(root: Path) -> None:
    path = root / "Panoptic/train.json"
    path.write_text(path.read_text().replace('"category_id": 13', '"category_id": 26'))


def _short_runs(root: Path) -> None:
    path = root / "annotations/train.json"
    path.write_text(path.read_text().replace('"size": [24, 64]', '"size": [24, 63]'))


def _other_name(root: Path) -> None:
    path = root / "Panoptic/train.json"
    path.write_text(path.read_text().replace("0000_1_panoptic", "0000_2_panoptic"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop_whole, "object 70001 has no amodal mask"),
        (_strange_category, "category 26; training ids 0 to 17 are expected"),
        (_short_runs, "a mask is of the size"),
        (_other_name, "says nothing of 0000_1"),
        (lambda root: (root / "Panoptic/train.json").unlink(), "train.json"),
        (lambda root: (root / "Panoptic/train/0000_1_panoptic.png").write_bytes(b"none"), "0000_1_panoptic.png: is no PNG"),
        (lambda root: sets.save(root / "Image/train/0000_1.png", sets.picture()[:20]), r"is \(20, 64\), and its labels are"),
        (lambda root: (root / "Image/train/0000_1.png").write_bytes(b"\x89PNG"), "cannot be read as an image"),
        (lambda root: shutil.rmtree(root / "Panoptic/train"), "has no labels, which are expected at"),
    ],
)
def test_what_is_wrong_is_named(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    sets.write_kitti360_aps(tmp_path)
    damage(tmp_path)
    data = open_seamless_data("kitti360_aps", str(tmp_path), "train")
    with pytest.raises(BadItem, match=message):
        data.labelled(0)


def test_wrong_roots_and_splits(tmp_path: Path) -> None:
    sets.write_kitti360_aps(tmp_path)
    with pytest.raises(SourceError, match="no images of cityscapes found; expected are leftImg8bit/"):
        open_seamless_data("cityscapes", str(tmp_path))
    with pytest.raises(SourceError, match=r"no image is in the split 'val'; there are 'train' \(1\)"):
        open_seamless_data("kitti360_aps", str(tmp_path), "val")
