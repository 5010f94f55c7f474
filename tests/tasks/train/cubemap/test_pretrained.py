"""A training starts from weights that it names, and refuses those that do not fit, by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.settings import ConfigError
from models.cubemap.checkpoint import load_network
from models.cubemap.configuration import RELEASED, CubemapConfig, tiny_config
from models.cubemap.network import CubemapNetwork
from models.cubemap.saved import save_network
from models.teachers.weights import digest_folder
from tasks.train.cubemap.make import first_network, make_network, network_config
from tasks.train.cubemap.settings import TrainCubemap
from tasks.train.cubemap.train import refuse_misfit, train_block
from tasks.train.labels.data import LabelStore
from tests.support.label_store import write_label_store
from tests.support.trainings import face_training


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LabelStore:
    return write_label_store(tmp_path_factory.mktemp("train") / "labels", count=4, splits=("train",))


def written(folder: Path, config: CubemapConfig, seed: int = 7) -> CubemapNetwork:
    network = make_network(config, seed)
    save_network(network, folder)
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    return network


def settings_of(folder: Path | str, **more: Any) -> TrainCubemap:
    return TrainCubemap.model_validate({"steps": 1, "pretrained": str(folder), **more})


def test_all_weights_are_those_of_the_folder_and_new_heads_start_afresh(tmp_path: Path) -> None:
    source = written(tmp_path / "first", tiny_config(16, ("depth", "normals"))).state_dict()
    settings = settings_of(tmp_path / "first", seed=3)
    config = network_config(settings, ("depth", "sky"), ("indoor",))
    assert config.modalities == ("depth", "sky", "scale_indoor")
    begun, fresh = (one.state_dict() for one in (first_network(settings, config), make_network(config, 3)))
    new = {name for name in begun if ".heads.sky." in name or ".heads.scale_indoor." in name}
    assert new == begun.keys() - source.keys()
    assert all(torch.equal(value, fresh[name] if name in new else source[name]) for name, value in begun.items())


def test_sizes_and_conventions_are_those_of_the_weights(tmp_path: Path) -> None:
    config = replace(tiny_config(24, ("depth",)), conventions=RELEASED, cube_padding=False)
    written(tmp_path / "first", config)
    found = network_config(settings_of(tmp_path / "first", settings={"face_size": 40}), ("depth",), ())
    assert found == replace(config, face_size=40), "the learned grid of positions stays: it is resized"
    first_network(settings_of(tmp_path / "first"), found)


def test_a_training_goes_on_from_them_and_says_so(tmp_path: Path, store: LabelStore) -> None:
    source = written(tmp_path / "first", tiny_config(16, ("depth", "normals"))).state_dict()
    own = {"pretrained": str(tmp_path / "first"), "steps": 1, "held_out": None, "learning_rate": 1e-6}
    one = face_training(tmp_path, store, **own)
    assert one.identity.weights == {"pretrained": digest_folder(tmp_path / "first")}
    train_block(one)
    folder = Path(one.url, "model")
    after = load_network(folder).state_dict()
    assert all(torch.allclose(value, source[name], atol=1e-4) for name, value in after.items())
    assert any(not torch.equal(value, source[name]) for name, value in after.items())
    assert f"from the weights in `{tmp_path / 'first'}`; licence: cc-by-nc-4.0" in (folder / "README.md").read_text()
    save_network(load_network(tmp_path / "first"), tmp_path / "moved")
    assert face_training(tmp_path, store, **own | {"pretrained": str(tmp_path / "moved")}).identity == one.identity, (
        "where they lie"
    )
    written(tmp_path / "first", tiny_config(16, ("depth", "normals")), seed=8)
    assert face_training(tmp_path, store, **own).identity != one.identity, "what they are"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"width": 32},
            r"settings: the weights of `pretrained` are of other sizes: model\.backbone\.pretrained\.cls_token \(1, 1, 16\)",
        ),
        ({"blocks": 5}, r"model\.backbone\.pretrained\.blocks\.4\.norm1\.weight is not there instead of \(16,\)"),
        ({"face_size": 20}, "settings: face_size: 20 pixels are not a multiple of the patch, 8"),
    ],
)
def test_a_misfit_is_refused_by_name_before_training(
    tmp_path: Path, store: LabelStore, settings: dict[str, Any], told: str
) -> None:
    written(tmp_path / "first", tiny_config(16))
    one = face_training(tmp_path, store, pretrained=str(tmp_path / "first"), settings=settings)
    with pytest.raises(ConfigError, match=r"stages\.train\..*" + told):
        refuse_misfit(one.stage, [])


def test_what_is_not_there_or_torn_is_told(tmp_path: Path, store: LabelStore) -> None:
    with pytest.raises(ConfigError, match=r"stages\.train: pretrained: model: there is no folder .*gone"):
        face_training(tmp_path, store, pretrained=str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="revision: hub model 'prs-eth/PaGeR' needs a pinned commit"):
        face_training(tmp_path, store, pretrained="prs-eth/PaGeR")
    with pytest.raises(ValueError, match="size: sizes are those of the weights in `pretrained`"):
        settings_of(tmp_path, size="small")
    written(tmp_path / "first", tiny_config(16))
    config = json.loads((tmp_path / "first" / "config.json").read_text()) | {"width": 32}
    (tmp_path / "first" / "config.json").write_text(json.dumps(config))
    one = settings_of(tmp_path / "first")
    with pytest.raises(ValueError, match=r"does not hold the weights of this network; .* of another shape"):
        first_network(one, network_config(one, ("depth",), ()))
