"""What a network of six faces says of a panorama becomes labels, or the panorama is set aside with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from configs.settings import ConfigError
from models.cubemap.configuration import tiny_config
from models.cubemap.network import CubemapNetwork
from models.cubemap.saved import MODEL_TYPE, save_network
from models.teachers.panoramic.cubemap import CubemapTeacher
from storage.arrays import BlockReader
from tasks.label.fuse import decode_labels
from tasks.predict.faces import load_faces, said_of_faces, teacher_of
from tasks.predict.folder import FACES, refuse_no_student
from tasks.stage.job import BadItem
from tasks.train.cubemap.make import make_network
from tests.support.discs import block_of, make_owed, read
from tests.support.pipelines import write_panoramas

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)


def teacher(*tasks: str) -> CubemapTeacher:
    network: CubemapNetwork = make_network(tiny_config(16, tasks), 0)  # type: ignore[arg-type]
    return teacher_of(network.eval(), "cpu")


def test_labels_have_the_size_of_the_panorama_and_end_where_it_was_not_photographed() -> None:
    observed = np.ones((32, 64), bool)
    observed[24:] = False
    labels, told = said_of_faces(teacher("depth", "normals", "scale_indoor"), IMAGE, observed)
    assert labels["depth"].shape == (32, 64)
    for task in ("depth", "normals"):
        assert (labels[f"{task}_valid"] == observed).all()
        assert not labels[task][~observed].any()
    assert told.keys() == {"log_scale", "scale_spread"}


def test_a_network_that_is_sure_of_nothing_still_has_a_distance_everywhere() -> None:
    unsure = teacher("depth")
    with torch.no_grad():
        unsure.network.model.head.heads["depth"].head_modules["depth"].output_conv2[2].bias[1] = -100
    labels, _ = said_of_faces(unsure, IMAGE)
    assert labels["depth_valid"].all()


def test_what_is_no_number_sets_the_panorama_aside() -> None:
    broken = teacher("depth", "normals")
    with torch.no_grad():
        broken.network.model.head.heads["normals"].norm.weight.fill_(float("nan"))
    with pytest.raises(BadItem, match="the network's normals of this panorama is NaN or infinite"):
        said_of_faces(broken, IMAGE)


def test_a_folder_with_other_weights_is_told(tmp_path: Path) -> None:
    assert MODEL_TYPE == FACES
    save_network(make_network(tiny_config(16), 0), tmp_path)
    refuse_no_student(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"width": 16', '"width": 32'))
    with pytest.raises(ConfigError, match=r"model: .*does not hold the weights of this network"):
        load_faces(tmp_path, "of another width", "cpu")


def test_prediction_says_what_the_teacher_says_through_views_and_fusion(tmp_path: Path) -> None:
    """But for how both store numbers."""
    write_panoramas(tmp_path / "images", ["p00"], height=64)
    network = make_network(tiny_config(32, ("depth", "normals", "scale_indoor")), 0)
    save_network(network, tmp_path / "model")
    stages = {
        "ingest": {"source": {"url": "images"}, "min_width": 2},
        "predict": {"model": "./model", "height": 64},
        "faces": {"stage": "project", "layout": {"kind": "cubemap", "fov_degrees": 90}, "patch_size": 32, "antialias": False},
        "six": {"stage": "label", "kind": "cubemap", "fields": ["depth", "normals"], "settings": {"model": "./model"}},
        "fuse": {"height": 64},
    }
    path = tmp_path / "six.yaml"
    path.write_text(yaml.safe_dump({"name": "six", "root": "store", "stages": stages}, sort_keys=False))
    config = read(path)
    make_owed(config)
    predicted, fused = (block_of(config, key) for key in ("predict", "fuse"))
    one, other = (
        decode_labels(BlockReader(url, receipt.files).item(0, ("depth", "depth_valid", "normals", "normals_valid")))
        for url, receipt in (predicted, fused)
    )
    assert one["depth_valid"].all()
    assert other["depth_valid"].all()
    assert np.abs(one["depth"] / other["depth"] - 1).max() < 0.01
    assert (one["normals"] * other["normals"]).sum(-1).min() > 0.99
