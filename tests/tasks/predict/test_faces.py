"""What a network of six faces says of a panorama becomes labels, or the panorama is set aside with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from configs.settings import ConfigError
from models.cubemap.configuration import tiny_config
from models.cubemap.network import CubemapNetwork
from models.cubemap.saved import MODEL_TYPE, save_network
from models.teachers.panoramic.cubemap import CubemapTeacher
from tasks.predict.faces import load_faces, said_of_faces, teacher_of
from tasks.predict.folder import FACES, refuse_no_student
from tasks.stage.job import BadItem
from tasks.train.cubemap.make import make_network

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
