"""The ready-made configs of adaptations and of their source model can be used as they are."""

from pathlib import Path

import pytest
import torch

from configs.adapt import AdaptConfig, load_any_config
from configs.pipeline import Config
from configs.reading import load_config
from configs.settings import ConfigError
from models.seamless.network import SeamlessNetwork
from tasks.seamless import SEAMLESS_SETS
from tasks.train.seamless.settings import load_source_training
from tasks.train.seamless.train import seamless_settings


@pytest.mark.parametrize("path", sorted(Path("configs/adaptations").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_ready_made_adaptation_is_valid(path: Path) -> None:
    config = load_any_config(path)
    assert isinstance(config, AdaptConfig)
    assert config.name.endswith(path.stem)
    assert AdaptConfig.model_validate(config.model_dump(mode="json")) == config, "as a record keeps it, it is read again"
    with pytest.raises(ConfigError, match="is that of an adaptation"):
        load_config(path)


def test_a_labelling_is_told_from_an_adaptation() -> None:
    assert type(load_any_config("configs/demo.yaml")) is Config


def test_the_network_of_the_papers_size_has_an_encoder_like_mit_b5() -> None:
    config = load_source_training("configs/trainings/source_large.yaml")
    classes = len(SEAMLESS_SETS[config.data.kind].classes)
    with torch.device("meta"):  # counted, not made: it would take half a gigabyte
        network = SeamlessNetwork(seamless_settings(config.network, classes, config.network.seam))
    millions = {name: sum(one.numel() for one in part.parameters()) / 1e6 for name, part in network.named_children()}
    assert 80 < millions["encoder"] < 90
    assert 110 < sum(millions.values()) < 130
    assert millions["instances"] == millions["amodals"]
