"""The ready-made adaptations and trainings fit the networks that they name."""

from pathlib import Path

import pytest
import torch

from configs.pipeline import Config
from models.seamless.network import SeamlessNetwork
from tasks.pipeline import load, validated
from tasks.seamless import SEAMLESS_SETS
from tasks.train.seamless.train import seamless_settings
from tests.support.stages import stage_of


@pytest.mark.parametrize("name", ["densepass", "adapt_street"])
def test_an_adaptation_reads_the_network_that_another_file_trains(name: str) -> None:
    config = load(f"configs/{name}.yaml")
    (model,) = stage_of(config, "adapt").stages("model")
    assert (model.key, model.kind.gives, model.owes) == ("learned", "model", False)
    assert (model.settings.kind, model.root) == ("seamless", "work/" + Path(model.root).parts[1] + "/store")


@pytest.mark.parametrize("name", ["densepass", "adapt_street", "student"])
def test_as_a_record_keeps_it_it_is_read_again(name: str) -> None:
    config = load(f"configs/{name}.yaml")
    again = validated(config.model_dump(mode="json"))
    assert isinstance(again, Config)
    assert [entry.as_json() for entry in again.stages] == [entry.as_json() for entry in config.stages]


def test_the_network_of_the_papers_size_has_an_encoder_like_mit_b5() -> None:
    settings = stage_of(load("configs/seamless_large.yaml"), "train").settings
    classes = len(SEAMLESS_SETS[settings.data.kind].classes)
    with torch.device("meta"):  # counted, not made: it would take half a gigabyte
        network = SeamlessNetwork(seamless_settings(settings.network, classes, settings.network.seam))
    millions = {name: sum(one.numel() for one in part.parameters()) / 1e6 for name, part in network.named_children()}
    assert 80 < millions["encoder"] < 90
    assert 110 < sum(millions.values()) < 130
    assert millions["instances"] == millions["amodals"]
