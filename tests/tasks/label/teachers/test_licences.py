"""Licences on a student's card: as its labels' and weights' own cards state them, and never nothing."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCardData

from tasks.label.teachers.licences import UNKNOWN, stated_licence
from tasks.train.train import train_block
from tests.support.label_store import write_label_store
from tests.support.trainings import training


def write_card(folder: Path, **data: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\n{ModelCardData(**data).to_yaml()}\n---\n\n# A model\n\n---\nlicense: no\n")
    return folder


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"license": "cc-by-nc-4.0", "tags": ["depth"]}, "cc-by-nc-4.0"),
        ({"license": "other", "license_name": "dinov3", "license_link": "LICENSE.md"}, "other (dinov3, LICENSE.md)"),
        ({"license": ["mit", "apache-2.0"]}, "mit, apache-2.0"),
        ({"tags": ["depth"]}, UNKNOWN),
    ],
)
def test_the_front_matter_of_a_card_is_read(tmp_path, data, expected):
    folder = write_card(tmp_path / "model", **data)
    (folder / "network.onnx").write_bytes(b"")
    assert stated_licence(str(folder)) == expected
    assert stated_licence(str(folder / "network.onnx")) == expected


@pytest.mark.parametrize(
    "text", ["", "# A model\n", "---\nlicense: mit", "---\nlicense: [\n---\n", "---\n- mit\n---\n", "x---\na: b\n---\n"]
)
def test_a_card_that_says_nothing_leaves_the_licence_unknown(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    assert stated_licence(str(tmp_path)) == UNKNOWN


def test_hub_models_are_looked_up_in_the_local_cache_and_the_demo_in_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    revision = "0" * 40
    write_card(tmp_path / "models--someone--depth" / "snapshots" / revision, license="mit")
    assert stated_licence("someone/depth", revision) == "mit"
    assert stated_licence("someone/depth", "1" * 40) == UNKNOWN
    assert stated_licence("someone/else", revision) == UNKNOWN
    assert stated_licence("demo") == "apache-2.0"


def test_the_card_of_a_student_names_the_licence_of_its_pretrained_weights(tmp_path):
    store = write_label_store(tmp_path / "labels", count=4)
    first = training(tmp_path, store, held_out=None)
    train_block(first)
    from transformers import AutoModel

    backbone = AutoModel.from_pretrained(f"{first.url}/model").backbone.network
    backbone.save_pretrained(tmp_path / "backbone")
    write_card(tmp_path / "backbone", license="other", license_name="dinov3")
    told = {"stated": "other (dinov3)", "set": "CC0-1.0"}
    for name, more in (("stated", {}), ("set", {"licence": "CC0-1.0"})):
        one = training(tmp_path / name, store, held_out=None, licences={}, pretrained=str(tmp_path / "backbone"), **more)
        train_block(one)
        card = Path(one.url, "model", "README.md").read_text()
        assert f"from the weights in `{tmp_path / 'backbone'}`; licence: {told[name]}." in card
        assert "| labels | 4 | 1.0 | unknown |" in card
    assert stated_licence(f"{one.url}/model") == "other (that-of-its-labels-and-weights, README.md)"
