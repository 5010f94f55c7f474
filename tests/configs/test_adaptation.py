"""What an adaptation and its source training may say, through the file of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from configs.pipeline import Config
from configs.settings import ConfigError
from models.seamless.network import SeamlessNetwork
from tasks.pipeline import load, plain_stages
from tasks.seamless import SEAMLESS_SETS
from tasks.train.seamless.train import seamless_settings


def adapting(folder: Path, **settings: Any) -> Config:
    stages = {"target": {"stage": "ingest", "source": {"url": "images"}}, "adapt": {"model": "./model", **settings}}
    path = folder / "adapting.yaml"
    path.write_text(yaml.safe_dump({"name": "adapting", "root": "store", "stages": stages}, sort_keys=False))
    return load(path)


def test_an_adaptation_is_several_stages_and_has_a_pool_only_where_it_mixes(tmp_path: Path) -> None:
    parts = ["adapt.predict", "adapt.scores", "adapt.thresholds", "adapt.omni", "adapt.pool", "adapt"]
    assert [stage.key for stage in plain_stages(adapting(tmp_path))] == ["target", *parts]
    without = adapting(tmp_path, training={"mixing": "none"})
    assert [stage.key for stage in plain_stages(without)] == ["target", *(part for part in parts if part != "adapt.pool")]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"source_data": "/data"}, "stages.adapt.source_data: an adaptation gets no source data"),
        ({"height": 128}, "training.crop: 384 x 384 does not fit into panoramas of 128 x 256"),
        ({"training": {"stepz": 3}}, "stages.adapt.training.stepz: unknown key; did you mean 'steps'?"),
        ({"omni": {"semantic": {"fixed": 2}}}, "stages.adapt.omni.semantic.fixed: Input should be less than or equal to 1"),
    ],
)
def test_a_mistake_names_its_key_and_the_fix(tmp_path: Path, settings: dict, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adapting(tmp_path, **settings)
    assert expected in str(caught.value)


def test_the_network_of_the_papers_size_has_an_encoder_like_mit_b5() -> None:
    (training,) = [stage.settings for stage in plain_stages(load("configs/seamless_large.yaml")) if stage.key == "train"]
    classes = len(SEAMLESS_SETS[training.data.kind].classes)
    with torch.device("meta"):  # counted, not made: it would take half a gigabyte
        network = SeamlessNetwork(seamless_settings(training.network, classes, training.network.seam))
    millions = {name: sum(one.numel() for one in part.parameters()) / 1e6 for name, part in network.named_children()}
    assert 80 < millions["encoder"] < 90
    assert 110 < sum(millions.values()) < 130
    assert millions["instances"] == millions["amodals"]
