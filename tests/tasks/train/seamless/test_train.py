"""Source training: interrupted or not it learns the same; what it cannot learn from it says; what it learns beats the floor."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.settings import ConfigError
from models.seamless.network import SeamlessNetwork
from models.seamless.saved import load_model
from scenes.pinholes import write_pinholes
from storage.receipts import damage, read_receipt
from tasks.ingest.entries import SourceError
from tasks.pipeline import load, steps, validated
from tasks.seamless.measure import main as measure_main
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.scores import find_in, majority_figures
from tasks.seamless.vocabularies import A2B, K2B
from tasks.stage.job import Job
from tasks.train.checkpoints import load_checkpoint
from tasks.train.progress import Diverged, Stopped
from tasks.train.seamless.batches import PinholeCrops
from tasks.train.seamless.settings import TrainSeamless
from tasks.train.seamless.train import learn, seamless_settings, train_block
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


def job_of(root: Path, output: Path, **changes: Any) -> Job:
    """The training of a small network on pinhole images below ``root``, into the store ``output``."""
    given = {
        "kind": "seamless", "data": {"kind": "kitti360_aps", "root": str(root), "split": "train"}, "network": NETWORK,
        "steps": 4, "batch_size": 2, "crop": (32, 64), "learning_rate": 1e-3, "least_stuff": 16, "log_every": 1,
        "checkpoint_every": 2, "threads": 2,
    }  # fmt: skip
    stages = {"train": {**given, **changes}}
    config = validated({"name": "small", "root": str(output), "stages": stages, "execution": {"device": "cpu"}})
    (step,) = steps(config, lambda _source: ())
    return Job(step.stage, step.blocks[0], "run", config.execution)


def settings(root: Path, output: Path, **changes: Any) -> TrainSeamless:
    """Its settings."""
    found: TrainSeamless = job_of(root, output, **changes).settings
    return found


def never() -> bool:
    return False


def stop_at(step: int) -> Callable[[int, object], None]:
    def log(now: int, _terms: object) -> None:
        if now == step:
            raise KeyboardInterrupt

    return log


def model_of(job: Job) -> Path:
    """Folder of the finished network."""
    return Path(job.url, "model")


def weights(job: Job) -> dict[str, torch.Tensor]:
    return load_model(model_of(job)).network.state_dict()


def test_an_interrupted_training_ends_with_the_same_bytes(pinholes: Path, tmp_path: Path) -> None:
    validation = {"kind": "kitti360_aps", "root": str(pinholes), "split": "val"}
    whole, parts = job_of(pinholes, tmp_path / "whole", validation=validation), job_of(pinholes, tmp_path / "parts")
    assert whole.identity == parts.identity, "what is measured changes nothing that is learned"
    receipt = train_block(whole)
    with pytest.raises(KeyboardInterrupt):
        learn(parts, stop_at(3), never)
    state = load_checkpoint(parts.checkpoints)
    assert state is not None
    assert state["progress"]["step"] == 2
    with pytest.raises(Stopped, match="stopped after step 3 of 4"):
        train_block(parts, lambda: True)
    assert read_receipt(parts.url) is None
    assert not model_of(parts).exists()
    train_block(job_of(pinholes, tmp_path / "parts", threads=1))
    for name in ("model.safetensors", "config.json"):
        assert (model_of(parts) / name).read_bytes() == (model_of(whole) / name).read_bytes()
    assert damage(whole.url, receipt) == []
    assert os.listdir(whole.checkpoints) == []
    stored = json.loads(Path(whole.url, "figures.json").read_text())
    assert {"steps": 4, **stored} == receipt.items[0].figures
    assert (stored["images"], 0.3 <= stored["instance_score"] <= 0.95) == (1, True)
    assert set(FIGURES) < set(stored)


def test_the_network_serves_panoramas_and_knows_what_it_learned_from(pinholes: Path, tmp_path: Path) -> None:
    job = job_of(pinholes, tmp_path, steps=1)
    train_block(job)
    model = load_model(model_of(job))
    assert (model.classes, model.network.settings.seam) == (K2B, 32)
    images = sorted((pinholes / "Image/train").iterdir())
    assert sorted(model.trained_on) == sorted(hashlib.sha256(image.read_bytes()).hexdigest() for image in images)
    assert find_in(model, np.zeros((64, 128, 3), np.uint8))[0].shape == (64, 128)


def test_a_saved_network_is_measured_on_blendpass(pinholes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    validation = {"kind": "kitti360_aps", "root": str(pinholes), "split": "val"}
    job = job_of(pinholes, tmp_path / "store", steps=1, validation=validation)
    train_block(job)
    write_blendpass(tmp_path / "data")
    given = ["", str(model_of(job)), "blendpass", str(tmp_path / "data"), "--split", "val"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", given)
        measure_main()
    figures = json.loads(capsys.readouterr().out)
    assert set(FIGURES) < set(figures)
    assert all(0 <= figures[name] <= 1 for name in FIGURES)


def test_without_whole_masks_the_amodal_branch_stays_as_it_was(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "data")
    cityscapes = {"kind": "cityscapes", "root": str(tmp_path / "data")}
    job = job_of(tmp_path, tmp_path / "out", data=cityscapes, steps=2)
    terms: list[set[str]] = []
    learn(job, lambda _step, figures: terms.append(set(figures)), never)
    assert len(terms) == 2
    assert all(not any(name.startswith("amodals") for name in each) and "instances.mask" in each for each in terms)
    torch.manual_seed(0)
    fresh = SeamlessNetwork(seamless_settings(job.settings.network, len(A2B), 32)).state_dict()
    changed = {name.split(".")[0] for name, value in weights(job).items() if not torch.equal(value, fresh[name])}
    assert changed == {"encoder", "pyramid", "semantic", "instances"}
    with pytest.raises(ValueError, match="cityscapes does not say what is hidden"):
        train_block(job_of(tmp_path, tmp_path / "other", data=cityscapes, validation=cityscapes))


def test_processes_share_the_crops_that_one_with_their_batches_takes(pinholes: Path, tmp_path: Path) -> None:
    data = open_seamless_data("kitti360_aps", str(pinholes), "train")
    alone = PinholeCrops(data, settings(pinholes, tmp_path, batch_size=2)).batches(0, 1, 0, 1)
    both = [PinholeCrops(data, settings(pinholes, tmp_path, batch_size=1)).batches(0, 1, rank, 2) for rank in range(2)]
    for (images, _), *shares in zip(alone, *both, strict=True):
        np.testing.assert_array_equal(images, np.concatenate([share for share, _ in shares]))


@pytest.mark.slow
def test_two_processes_save_one_network(pinholes: Path, tmp_path: Path) -> None:
    job = job_of(pinholes, tmp_path, batch_size=1, steps=2, processes=2)
    receipt = train_block(job)
    assert damage(job.url, receipt) == []
    assert load_model(model_of(job)).classes == K2B


def test_damaged_images_are_passed_over(pinholes: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(pinholes, root)
    (root / "Image/train/000002.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"000002.png: cannot be read as an image.*next one instead"):
        train_block(job_of(root, tmp_path / "out"))
    for image in (root / "Panoptic/train").iterdir():
        image.unlink()
    with pytest.warns(UserWarning, match="has no labels"), pytest.raises(SourceError, match="no image can be read"):
        train_block(job_of(root, tmp_path / "none"))
    assert not list((tmp_path / "none").rglob("*.json"))


def test_a_diverging_training_stops_and_saves_no_network(pinholes: Path, tmp_path: Path) -> None:
    job = job_of(pinholes, tmp_path, learning_rate=1e30, checkpoint_every=1)
    with pytest.raises(Diverged, match="the loss is no number any more"):
        train_block(job)
    assert not model_of(job).exists()
    assert read_receipt(job.url) is None


def test_another_training_has_checkpoints_of_its_own(pinholes: Path, tmp_path: Path) -> None:
    job = job_of(pinholes, tmp_path)
    for changes in ({"seed": 1}, {"crop": (32, 32)}, {"network": {**NETWORK, "seam": 64}}, {"processes": 2}):
        assert job_of(pinholes, tmp_path, **changes).checkpoints != job.checkpoints, changes
    for quiet in ({"keep": 1}, {"threads": 3}, {"log_every": 2}, {"checkpoint_every": 1}):
        assert job_of(pinholes, tmp_path, **quiet).checkpoints == job.checkpoints, quiet


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {kind: coco, root: x}", "stages.train.data.kind: Input should be"),
        ("data: {kind: cityscapes, root: x}, crop: [30, 64]", "stages.train.crop.0: Input should be"),
        ("data: {kind: cityscapes, root: x}, step: 3", "stages.train.step: unknown key; did you mean 'steps'"),
        ("steps: 3", "stages.train.data: is required; add it"),
    ],
)
def test_wrong_configs_are_explained(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"name: small\nroot: store\nstages: {{train: {{kind: seamless, {text}}}}}")
    with pytest.raises(ConfigError, match=message):
        load(path)


@pytest.mark.slow
def test_a_short_training_beats_the_floor_in_all_five_figures(tmp_path: Path) -> None:
    """The floor says the commonest class of stuff everywhere, and finds no object."""
    write_pinholes(tmp_path / "data", "train", 36, 64, 128, processes=1)
    write_pinholes(tmp_path / "data", "val", 8, 64, 128, processes=1)
    network = {**NETWORK, "channels": 32, "hidden": 128, "proposals": 100, "sampled": 64}
    validation = {"kind": "kitti360_aps", "root": str(tmp_path / "data"), "split": "val"}
    job = job_of(
        tmp_path / "data", tmp_path / "out", network=network, validation=validation, steps=180, crop=(64, 128), head_rate=3.0,
        least_stuff=32, log_every=180, checkpoint_every=180,
    )  # fmt: skip
    figures = train_block(job).items[0].figures
    floor = majority_figures(open_seamless_data("kitti360_aps", str(tmp_path / "data"), "val"))
    for name in FIGURES:
        reached, least = figures[name], floor[name]
        assert reached is not None
        assert least is not None
        assert reached > (3 * least if least else 0), name
