"""A network comes back from its folder as it was, and a folder that is something else is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.seamless.saved import SeamlessModel, load_model, model_files, save_model
from tests.models.seamless.test_network import CLASSES, HEIGHT, WIDTH, network

NAMES = ("sky", "road", "car", "person")


def test_a_saved_network_says_the_same(tmp_path: Path) -> None:
    model = SeamlessModel(network().eval(), NAMES, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), ("ab12",))
    save_model(model, tmp_path / "new" / "folder")
    again = load_model(tmp_path / "new" / "folder")
    assert (again.network.settings, again.classes, again.mean, again.std, again.trained_on) == (
        model.network.settings, NAMES, model.mean, model.std, ("ab12",)
    )  # fmt: skip
    image = np.random.default_rng(0).integers(0, 256, (1, HEIGHT, WIDTH, 3)).astype(np.uint8)
    torch.testing.assert_close(again.normalised(image)[0, 1, 3, 5], torch.tensor((image[0, 3, 5, 1] / 255 - 0.2) / 0.6).float())
    one, other = (each.network.find(each.normalised(image))[0] for each in (model, again))
    assert torch.equal(one.confidence, other.confidence)
    assert torch.equal(one.amodals.masks, other.amodals.masks)
    assert model_files(model) == model_files(again), "the bytes are a function of the model"


def test_what_is_no_saved_network_is_refused(tmp_path: Path) -> None:
    model = SeamlessModel(network(), NAMES)
    with pytest.raises(ValueError, match="3 names are given for the network's 4 classes"):
        SeamlessModel(model.network, NAMES[: CLASSES - 1])
    save_model(model, tmp_path)
    good = json.loads((tmp_path / "config.json").read_text())
    bad = [
        {**good, "model_type": "bert"},
        {**good, "settings": {**good["settings"], "channels": 25}},
        {"model_type": good["model_type"]},
    ]
    for config in bad:
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=r"model_type is 'bert'|no saved seamless network"):
            load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="no saved seamless network"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(good))
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="no saved seamless network"):
        load_model(tmp_path)
