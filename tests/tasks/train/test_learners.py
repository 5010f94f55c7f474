"""Every network goes through the one loop: stopped it goes on to the same bytes, and what is no number is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.cubemap.configuration import tiny_config
from models.cubemap.learner import CubemapLearner
from models.learner import Learner
from models.seamless.learner import SourceLearner
from models.seamless.network import SeamlessNetwork
from models.seamless.saved import SeamlessModel, model_of_files
from models.student.learner import StudentLearner
from models.student.losses import LossSettings
from scenes.pinholes import write_pinholes
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.learner import AdaptLearner
from tasks.seamless.reading import open_seamless_data
from tasks.train.checkpoints import load_checkpoint
from tasks.train.cubemap.batches import Faces
from tasks.train.cubemap.make import make_network
from tasks.train.labels.data import TrainingData
from tasks.train.labels.items import ItemSettings
from tasks.train.loop import Batches, train
from tasks.train.progress import Diverged, Stopped
from tasks.train.seamless.batches import PinholeCrops
from tasks.train.seamless.train import seamless_settings
from tasks.train.settings import LoopSettings
from tests.support.discs import job_of, make_owed, read, source_files, write_adaptation
from tests.support.label_store import write_label_store
from tests.tasks.train.seamless.test_train import settings as source_settings
from tests.tasks.train.test_loop import DATA, digest_of, fresh

SETTINGS = LoopSettings(steps=4, weight_decay=0.01, clip=1.0, log_every=1, checkpoint_every=9, device="cpu")
Start = Callable[[float], Learner]
"""A new learner at a rate; the same every time."""


def student(folder: Path) -> tuple[Start, Batches]:
    store = write_label_store(folder / "labels")
    return lambda rate: StudentLearner(fresh(), LossSettings(), rate, frozen_steps=1), TrainingData([store], DATA)


def faces(folder: Path) -> tuple[Start, Batches]:
    store, config = write_label_store(folder / "labels"), tiny_config(16, ("depth", "normals", "scale_indoor"))
    data = TrainingData([store], replace(DATA, item=ItemSettings(32, ("depth", "normals"))))
    return lambda rate: CubemapLearner(make_network(config, 0), rate), Faces(data, config, "indoor")


def source(folder: Path) -> tuple[Start, Batches]:
    write_pinholes(folder, "train", 3, 32, 64, processes=1)
    config, data = source_settings(folder, folder / "out"), open_seamless_data("kitti360_aps", str(folder), "train")

    def start(rate: float) -> Learner:
        torch.manual_seed(0)
        network = SeamlessNetwork(seamless_settings(config.network, len(data.about.classes), 0))
        return SourceLearner(SeamlessModel(network, data.about.classes), rate, 10.0, amodal=True)

    return start, PinholeCrops(data, config)


def adapted(folder: Path) -> tuple[Start, Batches]:
    config = read(write_adaptation(folder, 2))
    make_owed(config, until="adapt")
    job = job_of(config, "adapt")

    def start(rate: float) -> Learner:
        own = job.settings.model_copy(update={"learning_rate": rate, "anchor": 10.0, "classmix": 1.0})
        return AdaptLearner(model_of_files(source_files()), own)

    return start, Examples(Panoramas(job), [], job.settings)


@pytest.fixture(scope="module", params=[student, faces, source, adapted], ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Start, Batches]:
    found: tuple[Start, Batches] = request.param(tmp_path_factory.mktemp("case"))
    return found


def silent(_step: int, _figures: object) -> None:
    pass


def after(learner: Learner) -> str:
    return digest_of([learner.model.state_dict(), learner.state()])


def test_a_stopped_training_goes_on_to_the_same_bytes(case: tuple[Start, Batches], tmp_path: Path) -> None:
    start, data = case
    whole, first, second = start(1e-3), start(1e-3), start(1e-3)
    figures: list[dict[int, float]] = [{}, {}]
    train(whole, data, SETTINGS, str(tmp_path / "whole"), lambda step, told: figures[0].update({step: told["total"]}))
    asked = iter([False, True])

    def log(step: int, told: dict[str, float]) -> None:
        figures[1][step] = told["total"]

    with pytest.raises(Stopped, match="stopped after step 2 of 4; its checkpoint is in"):
        train(first, data, SETTINGS, str(tmp_path / "parts"), log, lambda: next(asked))
    assert [file.name for file in (tmp_path / "parts").iterdir()] == ["step-00000002.pt"]
    assert after(first) != after(whole)
    assert train(second, data, SETTINGS, str(tmp_path / "parts"), log).step == 4
    assert after(second) == after(whole)
    assert figures[0] == figures[1]


def test_a_gradient_that_is_no_number_is_refused_though_the_loss_is_one(case: tuple[Start, Batches], tmp_path: Path) -> None:
    start, data = case
    learner = start(1e-3)
    steps: list[int] = []
    weight = next(p for name, p in learner.model.named_parameters() if name.endswith("semantic.name.weight") or "heads" in name)
    weight.register_hook(lambda gradient: gradient * (float("nan") if steps[-1:] == [2] else 1))
    settings = replace(SETTINGS, checkpoint_every=1)
    with pytest.raises(Diverged, match=r"step 3: the loss is no number any more \(its gradient\)"):
        train(learner, data, settings, str(tmp_path), lambda step, _: steps.append(step))
    state = load_checkpoint(str(tmp_path))
    assert state is not None
    assert state["progress"]["step"] == 2
    assert all(value.isfinite().all() for value in learner.model.state_dict().values())


def test_a_loss_that_is_no_number_is_refused(case: tuple[Start, Batches], tmp_path: Path) -> None:
    start, data = case
    wild = replace(SETTINGS, clip=1e30)
    with pytest.raises(Diverged, match=r"the loss is no number any more.*Lower the learning rate or the clip"):
        train(start(1e30), data, wild, str(tmp_path), silent)
    assert load_checkpoint(str(tmp_path)) is None


def test_checkpoints_of_another_training_or_release_are_refused(case: tuple[Start, Batches], tmp_path: Path) -> None:
    start, data = case
    train(start(1e-3), data, replace(SETTINGS, steps=1, identity="one"), str(tmp_path), silent)
    with pytest.raises(ValueError, match="these are checkpoints of another config or release; give another output, or remove"):
        train(start(1e-3), data, replace(SETTINGS, steps=1, identity="other"), str(tmp_path), silent)
    torch.save({"model": {}, "progress": {"step": 1, "log": []}}, tmp_path / "step-00000009.pt")
    with pytest.raises(ValueError, match="these are checkpoints of another config or release"):
        train(start(1e-3), data, replace(SETTINGS, steps=1), str(tmp_path), silent)
