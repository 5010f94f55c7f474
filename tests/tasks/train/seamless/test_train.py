"""Source training: interrupted or not it learns the same; what it cannot learn from it says; what it learns beats the floor."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from configs.settings import ConfigError
from models.seamless.network import SeamlessNetwork
from models.seamless.saved import load_model
from scenes.pinholes import write_pinholes
from tasks.ingest.entries import SourceError
from tasks.seamless.measure import main as measure_main
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.scores import find_in, majority_figures
from tasks.seamless.vocabularies import A2B, K2B
from tasks.train.checkpoints import load_checkpoint
from tasks.train.processes import in_processes
from tasks.train.progress import Diverged, Stopped
from tasks.train.seamless.batches import PinholeCrops
from tasks.train.seamless.settings import SourceTraining, load_source_training
from tasks.train.seamless.train import seamless_settings, train_source
from tests.support.seamless_sets import write_blendpass, write_cityscapes

NETWORK = {
    "size": "small", "channels": 16, "hidden": 32, "mask_layers": 1, "proposals": 20, "sampled": 16, "anchor": 4, "seam": 32,
}  # fmt: skip
FIGURES = ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP")


@pytest.fixture(scope="module")
def pinholes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pinholes")
    write_pinholes(root, "train", 5, 32, 64, processes=1)
    write_pinholes(root, "val", 1, 32, 64, processes=1)
    return root


def settings(root: Path, output: Path, **changes: Any) -> SourceTraining:
    given = {
        "data": {"kind": "kitti360_aps", "root": str(root), "split": "train"}, "output": str(output), "network": NETWORK,
        "steps": 4, "batch_size": 2, "crop": (32, 64), "learning_rate": 1e-3, "least_stuff": 16, "log_every": 1,
        "checkpoint_every": 2, "threads": 2, "device": "cpu",
    }  # fmt: skip
    return SourceTraining.model_validate({**given, **changes})


def silent(_step: int, _terms: object) -> None:
    pass


def stop_at(step: int) -> Callable[[int, object], None]:
    def log(now: int, _terms: object) -> None:
        if now == step:
            raise KeyboardInterrupt

    return log


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_model(output).network.state_dict()


def test_an_interrupted_training_ends_with_the_same_bytes(pinholes: Path, tmp_path: Path) -> None:
    validation = {"kind": "kitti360_aps", "root": str(pinholes), "split": "val"}
    whole = settings(pinholes, tmp_path / "whole", validation=validation)
    figures = train_source(whole, silent)
    assert figures is not None
    with pytest.raises(KeyboardInterrupt):
        train_source(settings(pinholes, tmp_path / "parts"), stop_at(3))
    state = load_checkpoint(str(tmp_path / "parts/checkpoints"))
    assert state is not None
    assert state["progress"]["step"] == 2
    with pytest.raises(Stopped, match="stopped after step 3 of 4"):
        train_source(settings(pinholes, tmp_path / "parts"), silent, lambda: True)
    assert not (tmp_path / "parts/config.json").exists()
    assert train_source(settings(pinholes, tmp_path / "parts", threads=1), silent) is None
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    # A finished training is not done again, and says the same.
    assert train_source(whole, stop_at(1)) == figures
    stored = json.loads((tmp_path / "whole/figures.json").read_text())
    assert {name: stored[name] for name in figures} == figures
    assert (stored["images"], 0.3 <= stored["instance_score"] <= 0.95) == (1, True)


def test_the_network_serves_panoramas_and_knows_what_it_learned_from(pinholes: Path, tmp_path: Path) -> None:
    train_source(settings(pinholes, tmp_path, steps=1), silent)
    model = load_model(tmp_path)
    assert (model.classes, model.network.settings.seam) == (K2B, 32)
    images = sorted((pinholes / "Image/train").iterdir())
    assert sorted(model.trained_on) == sorted(hashlib.sha256(image.read_bytes()).hexdigest() for image in images)
    assert find_in(model, np.zeros((64, 128, 3), np.uint8))[0].shape == (64, 128)


def test_a_saved_network_is_measured_on_blendpass(pinholes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    validation = {"kind": "kitti360_aps", "root": str(pinholes), "split": "val"}
    train_source(settings(pinholes, tmp_path / "model", steps=1, validation=validation), silent)
    write_blendpass(tmp_path / "data")
    given = ["", str(tmp_path / "model"), "blendpass", str(tmp_path / "data"), "--split", "val"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", given)
        measure_main()
    figures = json.loads(capsys.readouterr().out)
    assert set(FIGURES) < set(figures)
    assert all(0 <= figures[name] <= 1 for name in FIGURES)


def test_without_whole_masks_the_amodal_branch_stays_as_it_was(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "data")
    cityscapes = {"kind": "cityscapes", "root": str(tmp_path / "data")}
    config = settings(tmp_path, tmp_path / "out", data=cityscapes, steps=2)
    terms: list[set[str]] = []
    train_source(config, lambda _step, figures: terms.append(set(figures)))
    assert all(not any(name.startswith("amodals") for name in each) and "instances.mask" in each for each in terms)
    torch.manual_seed(0)
    fresh = SeamlessNetwork(seamless_settings(config.network, len(A2B), 32)).state_dict()
    changed = {name.split(".")[0] for name, value in weights(tmp_path / "out").items() if not torch.equal(value, fresh[name])}
    assert changed == {"encoder", "pyramid", "semantic", "instances"}
    with pytest.raises(ValueError, match="cityscapes does not say what is hidden"):
        train_source(settings(tmp_path, tmp_path / "other", data=cityscapes, validation=cityscapes), silent)


def test_processes_share_the_crops_that_one_with_their_batches_takes(pinholes: Path, tmp_path: Path) -> None:
    data = open_seamless_data("kitti360_aps", str(pinholes), "train")
    alone = PinholeCrops(data, settings(pinholes, tmp_path, batch_size=2)).batches(0, 1, 0, 1)
    both = [PinholeCrops(data, settings(pinholes, tmp_path, batch_size=1)).batches(0, 1, rank, 2) for rank in range(2)]
    for (images, _), *shares in zip(alone, *both, strict=True):
        np.testing.assert_array_equal(images, np.concatenate([share for share, _ in shares]))


@pytest.mark.slow
def test_two_processes_save_one_network(pinholes: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    config = settings(pinholes, tmp_path, batch_size=1, steps=2)
    in_processes(2, "tasks.train.seamless.train:train_source", config, lambda step, _: steps.append(step))
    assert steps == [1, 2]
    assert load_model(tmp_path).classes == K2B


def test_damaged_images_are_passed_over(pinholes: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(pinholes, root)
    (root / "Image/train/000002.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"000002.png: cannot be read as an image.*next one instead"):
        train_source(settings(root, tmp_path / "out"), silent)
    for image in (root / "Panoptic/train").iterdir():
        image.unlink()
    with pytest.warns(UserWarning, match="has no labels"), pytest.raises(SourceError, match="no image can be read"):
        train_source(settings(root, tmp_path / "none"), silent)
    assert not (tmp_path / "none").exists()


def test_a_diverging_training_stops_and_saves_no_network(pinholes: Path, tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="the loss is no number any more"):
        train_source(settings(pinholes, tmp_path, learning_rate=1e30, checkpoint_every=1), silent)
    assert not (tmp_path / "config.json").exists()


def test_checkpoints_of_another_config_are_refused(pinholes: Path, tmp_path: Path) -> None:
    train_source(settings(pinholes, tmp_path, steps=2), silent)
    with pytest.raises(ValueError, match="checkpoints of another config"):
        train_source(settings(pinholes, tmp_path, steps=2, seed=1), silent)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {kind: coco, root: x}\noutput: y", "data.kind: Input should be"),
        ("data: {kind: cityscapes, root: x}\noutput: y\ncrop: [30, 64]", "crop.0: Input should be"),
        ("data: {kind: cityscapes, root: x}\noutput: y\nstep: 3", "step: Extra inputs"),
        ("data: [", "cannot be read"),
    ],
)
def test_wrong_configs_are_explained(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_source_training(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_source_training(tmp_path / "nothing.yaml")


def test_the_shipped_config_is_valid() -> None:
    config = load_source_training("configs/trainings/source_street.yaml")
    assert config.validation is not None
    assert yaml.safe_load(Path("configs/trainings/source_street.yaml").read_text())["steps"] == config.steps


@pytest.mark.slow
def test_a_short_training_beats_the_floor_in_all_five_figures(tmp_path: Path) -> None:
    """The floor says the commonest class of stuff everywhere, and finds no object."""
    write_pinholes(tmp_path / "data", "train", 36, 64, 128, processes=1)
    write_pinholes(tmp_path / "data", "val", 8, 64, 128, processes=1)
    network = {**NETWORK, "channels": 32, "hidden": 128, "proposals": 100, "sampled": 64}
    validation = {"kind": "kitti360_aps", "root": str(tmp_path / "data"), "split": "val"}
    config = settings(
        tmp_path / "data", tmp_path / "out", network=network, validation=validation, steps=180, crop=(64, 128), head_rate=3.0,
        least_stuff=32, log_every=180, checkpoint_every=180,
    )  # fmt: skip
    figures, floor = (
        train_source(config, silent),
        majority_figures(open_seamless_data("kitti360_aps", str(tmp_path / "data"), "val")),
    )
    assert figures is not None
    for name in FIGURES:
        reached, least = figures[name], floor[name]
        assert reached is not None
        assert least is not None
        assert reached > (3 * least if least else 0), name
