"""Predictions beside labels: figures as NumPy has them, of panoramas that were not trained on, on a page of its own."""

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from transformers import AutoModel

from geometry.directions import erp_area_weights
from storage.receipts import damage
from tasks.train.student.pictures import comparison_pictures
from tasks.train.train import train_block
from tests.support.label_store import CLASSES, labels_of, write_label_store
from tests.support.trainings import training


def with_truth(store, folder):
    """The store, with truth of its panoramas in a folder."""
    over = store.stage.over
    source = over.settings.source.model_copy(update={"truth": str(folder)})
    over = replace(over, settings=over.settings.model_copy(update={"source": source}))
    return replace(store, stage=replace(store.stage, over=over))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Labels whose distances are half of the true ones; normals and classes are true."""
    folder = tmp_path_factory.mktemp("seen")
    store = write_label_store(folder / "labels", count=8, splits=("train", "train", "train", "val"))
    (folder / "truth").mkdir()
    (folder / "dataset.json").write_text(json.dumps({"classes": list(CLASSES)}))
    for image in (folder / "labels" / "images").glob("*.png"):
        known = labels_of(cv2.imread(str(image))[..., ::-1])
        truth = {"depth": 2 * known["depth"], "normals": known["normals"], "semantics": known["semantics"]}
        np.savez(folder / "truth" / f"{image.stem}.npz", **truth)
    return with_truth(store, folder)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    one = training(tmp_path_factory.mktemp("trained"), store)
    return one, train_block(one)


def held_out_items(store):
    return [item for _, block, _ in store.blocks for item in block.items if item.split == "val"]


def test_figures_are_those_of_the_predictions(store, trained):
    one, receipt = trained
    model = AutoModel.from_pretrained(f"{one.url}/model")
    errors, angles, weight = [], [], np.repeat(erp_area_weights(16)[:, None], 32, axis=1)
    for item in held_out_items(store):
        image = cv2.imread(item.uri)[..., ::-1]
        labels = labels_of(image)
        with torch.no_grad():
            said = model(torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255)
        counts = np.where(labels["depth_valid"], weight, 0)
        errors.append(np.average(np.abs(said.depth[0, 0].numpy() / labels["depth"] - 1), weights=counts))
        cosine = np.einsum("cij,ijc->ij", said.normals[0].numpy(), labels["normals"])
        angles.append(np.average(np.degrees(np.arccos(np.clip(cosine, -1, 1))), weights=weight))
    found = receipt.about["held_out"]
    assert (found["panoramas"], found["from"]) == (2, "the held-out part of the split val")
    against = found["student against labels"]
    assert against["depth AbsRel"]["value"] == pytest.approx(np.mean(errors), rel=1e-3)
    assert against["normals mean (deg)"]["value"] == pytest.approx(np.mean(angles), rel=1e-2)
    true = found["labels against truth"]
    assert true["depth AbsRel"]["value"] == pytest.approx(0.5, abs=2e-3)  # labels are kept in float16
    assert true["mIoU"]["value"] == 1
    assert found["student against truth"]["depth AbsRel"]["value"] != against["depth AbsRel"]["value"]
    assert found["student against truth"]["mIoU"] == against["mIoU"]
    card = Path(one.url, "model", "README.md").read_text()
    assert re.search(rf"\| depth AbsRel \|.* {np.mean(errors):.3f} \|", card)


def test_the_page_shows_held_out_panoramas_only_and_belongs_to_the_receipt(store, trained):
    one, receipt = trained
    page = Path(one.url, "predictions.html").read_bytes()
    assert receipt.files["predictions.html"]["bytes"] == len(page)
    text = page.decode()
    assert re.findall(r"<h3>(\w+)</h3>", text)[-2:] == [item.item for item in held_out_items(store)]
    assert [one["item"] for one in receipt.about["shown"]] == [item.item for item in held_out_items(store)]
    files = [name for one in receipt.about["shown"] for name in one["pictures"].values()]
    assert len(files) == 2 * 10
    assert all(cv2.imread(f"{one.url}/{name}").shape == (256, 512, 3) for name in files)
    assert damage(one.url, receipt) == []
    captions = re.findall(r"<figcaption>([\w: ]+)</figcaption>", text)
    one_panorama = [
        f"{task}: {what}" for task in ("depth", "normals", "semantics") for what in ("label", "student", "difference")
    ]
    assert captions == 2 * ["panorama", *one_panorama]
    assert "http" not in text.replace("http-equiv", "")
    for figure in ("depth AbsRel", "normals mean (deg)", "mIoU"):
        assert figure in text


def test_without_a_held_out_part_the_page_says_that_it_shows_what_was_learnt(store, tmp_path):
    found = train_block(training(tmp_path, store, held_out=None)).about["held_out"]
    assert found["panoramas"] == 6
    assert found["from"] == "the split train, which the student has learnt from"


def test_truth_that_is_gone_costs_the_comparison_and_not_the_student(store, tmp_path):
    one = training(tmp_path, with_truth(store, tmp_path / "nowhere"))
    found = train_block(one).about["held_out"]
    assert found["panoramas"] == 0
    assert "nowhere" in found["reason"]
    assert "Nothing could be compared: " in Path(one.url, "model", "README.md").read_text()
    assert b"nothing could be compared" in Path(one.url, "predictions.html").read_bytes()


def test_differences_are_bright_where_label_and_student_differ():
    everywhere, size = np.ones((16, 32), bool), (16, 32)
    up = np.broadcast_to(np.float32([0, -1, 0]), (*size, 3))
    label = {"depth": np.full(size, 2.0, np.float32), "normals": up, "semantics": np.zeros(size, np.uint8)}
    label |= {f"{task}_valid": everywhere for task in ("depth", "normals", "semantics")}
    said = {name: array.copy() for name, array in label.items()}
    said["depth"][:, 16:], said["normals"][:8] = 4, (1, 0, 0)
    said["semantics"][8:, :16] = 1
    shown = comparison_pictures(np.zeros((*size, 3), np.uint8), label, said, 2)
    wrong = {"depth": np.s_[:, 256:], "normals": np.s_[:128], "semantics": np.s_[128:, :256]}
    for task, where in wrong.items():
        bright = shown[f"{task}: difference"].sum(-1)[:200] > 300  # above the scale
        expected = np.zeros((256, 512), bool)
        expected[where] = True
        np.testing.assert_array_equal(bright, expected[:200])
        assert shown[f"{task}: label"].shape == (256, 512, 3)
    del label["normals"]
    assert not any(name.startswith("normals") for name in comparison_pictures(np.zeros((*size, 3), np.uint8), label, said, 2))
