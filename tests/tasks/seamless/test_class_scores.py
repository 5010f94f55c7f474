"""Networks measured by their classes alone, on labels of DensePASS's layout."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.seamless.network import SeamlessNetwork
from models.seamless.saved import SeamlessModel
from models.student import StudentModel
from models.student.configuration import tiny_config
from tasks.seamless.class_scores import measure_classes
from tasks.seamless.measure import measure_saved
from tasks.seamless.model import model_digest, read_model, write_model
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.vocabularies import A2B, K2B
from tasks.train.seamless.settings import Network
from tasks.train.seamless.train import seamless_settings
from tests.support.seamless_sets import HEIGHT, WIDTH, id_map, picture, write_blendpass, write_cityscapes, write_densepass

ROWS = 64
"""That the student sees: twice those of the sphere of which the pictures are a band."""
TRUTH = id_map(road=0, sky=10, car=13, person=11, crowd=255, void=255)
"""Cityscapes' training id of trains, where the crowd is, is no class here."""


def write_student(folder: Path, classes: tuple[str, ...]) -> StudentModel:
    torch.manual_seed(3)
    student = StudentModel(tiny_config("segformer", classes, main_tasks=("semantics",), auxiliaries=False)).eval()
    student.save_pretrained(folder)
    (folder / "panolabel.json").write_text(json.dumps({"height": ROWS}))
    return student


def said_by_hand(student: StudentModel) -> np.ndarray:
    """Classes (24, 64) of the band that :func:`picture` is."""
    sphere = np.zeros((WIDTH // 2, WIDTH, 3), np.uint8)
    sphere[4 : 4 + HEIGHT] = picture()
    large = cv2.resize(sphere, (2 * ROWS, ROWS), interpolation=cv2.INTER_LINEAR)
    with torch.no_grad():
        logits = student(torch.from_numpy(large).permute(2, 0, 1)[None] / 255).semantics
    classes = logits.argmax(1)[0].numpy()
    return classes[1::2, 1::2][4 : 4 + HEIGHT]


def iou_by_hand(said: np.ndarray, truth: np.ndarray) -> float:
    judged, values = truth != 255, []
    for label in range(len(A2B)):
        one, other = (said == label) & judged, (truth == label) & judged
        if (one | other).any():
            values.append((one & other).sum() / (one | other).sum())
    return float(np.mean(values))


def test_a_student_sees_the_sphere_of_which_the_picture_is_a_band(tmp_path: Path) -> None:
    student = write_student(tmp_path / "model", A2B)
    write_densepass(tmp_path / "data")
    found = measure_saved(str(tmp_path / "model"), "densepass", str(tmp_path / "data"), "val", device="cpu")
    assert found["mIoU"] == pytest.approx(iou_by_hand(said_by_hand(student), TRUTH))
    assert 0 < found["mIoU"] < 1


def test_classes_are_matched_by_name_and_others_are_wrong(tmp_path: Path) -> None:
    write_densepass(tmp_path / "data")
    data = open_seamless_data("densepass", str(tmp_path / "data"), "val")
    straight, mixed = (tmp_path / name for name in ("straight", "mixed"))
    student = write_student(straight, A2B)
    said = said_by_hand(student)
    commonest = int(np.bincount(said.ravel()).argmax())
    names = list(A2B)
    names[commonest] = "elephant"
    shutil.copytree(straight, mixed)
    config = json.loads((mixed / "config.json").read_text())
    config["id2label"] = {str(index): name for index, name in enumerate(names)}
    config["label2id"] = {name: index for index, name in enumerate(names)}
    (mixed / "config.json").write_text(json.dumps(config))
    found = measure_saved(str(mixed), "densepass", str(tmp_path / "data"), "val", device="cpu")
    assert found["mIoU"] == pytest.approx(iou_by_hand(np.where(said == commonest, 200, said), TRUTH))
    with pytest.raises(ValueError, match="densepass: its classes"):
        measure_classes(read(write_named(tmp_path / "other", ("elephant", "giraffe"))), data, ROWS)


def write_named(folder: Path, classes: tuple[str, ...]) -> Path:
    write_student(folder, classes)
    return folder


def read(folder: Path) -> SeamlessModel:
    return read_model(str(folder), model_digest(str(folder)))


def test_a_student_is_not_measured_on_narrow_pictures(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "data")
    with pytest.raises(ValueError, match="a student sees whole panoramas"):
        measure_saved(str(write_named(tmp_path / "model", A2B)), "cityscapes", str(tmp_path / "data"), device="cpu")


def test_a_student_that_does_not_say_its_height_is_refused_with_the_fix(tmp_path: Path) -> None:
    write_densepass(tmp_path / "data")
    folder = write_named(tmp_path / "model", A2B)
    (folder / "panolabel.json").unlink()
    with pytest.raises(ValueError, match="does not say the height"):
        measure_saved(str(folder), "densepass", str(tmp_path / "data"), "val", device="cpu")


def test_an_adapted_network_takes_the_thresholds_of_another_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network.model_validate(
        {"size": "small", "channels": 16, "hidden": 32, "mask_layers": 1, "proposals": 20, "sampled": 16, "seam": 32}
    )
    for kind, classes, write in (("blendpass", K2B, write_blendpass), ("densepass", A2B, write_densepass)):
        model = SeamlessModel(SeamlessNetwork(seamless_settings(network, len(classes), 32)).eval(), classes)
        write_model(str(tmp_path / kind), "model", model, {})
        write(tmp_path / kind / "data")
    blend = [str(tmp_path / "blendpass" / part) for part in ("model", "data")]
    with pytest.raises(FileNotFoundError, match="name the folder of the source model with --rule"):
        measure_saved(blend[0], "blendpass", blend[1], "val", device="cpu")
    (tmp_path / "source").mkdir()
    rule = {"instance_score": 0.5, "amodal_score": 0.5, "least_stuff": 16}
    (tmp_path / "source" / "figures.json").write_text(json.dumps(rule))
    figures = measure_saved(blend[0], "blendpass", blend[1], "val", str(tmp_path / "source"), "cpu")
    assert {"mIoU", "mPQ", "mAPQ", "mAP", "mAAP"} < set(figures)
    dense = [str(tmp_path / "densepass" / part) for part in ("model", "data")]
    assert set(measure_saved(dense[0], "densepass", dense[1], "val", device="cpu")) == {"mIoU"}
