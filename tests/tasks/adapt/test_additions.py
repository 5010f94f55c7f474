"""The anchor holds weights back; ClassMix has a slow teacher and is among the losses; neither counts when off."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.adapt import AdaptConfig, load_adapt_config
from models.seamless.saved import model_of_files
from tasks.adapt.adapt import identity
from tasks.adapt.additions import INERTIA, Additions
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.settings import AdaptTraining
from tasks.adapt.training import adapt_model
from tasks.stage.job import Job
from tests.support.discs import make_owed, plan_of, source_files, write_adaptation


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[AdaptConfig, Job]:
    """Pseudo-labels of two panoramas, and the job that trains on them."""
    config = load_adapt_config(write_adaptation(tmp_path_factory.mktemp("discs"), 2))
    make_owed(config, until="adapt")
    step = next(step for step in plan_of(config) if step.name == "adapt")
    return config, Job(config, step.stage.identity, step.blocks[0], "test")


def with_additions(config: AdaptConfig, **changes: Any) -> AdaptTraining:
    return config.training.model_copy(update=changes)


def moved(job: Job, settings: AdaptTraining, folder: Path) -> float:
    """Summed mean squares by which a training moves the weights."""
    before = dict(model_of_files(source_files()).network.named_parameters())
    model, _ = adapt_model(
        model_of_files(source_files()), Examples(Panoramas(job), [], settings), settings, str(folder), 9, "cpu"
    )
    return sum(float((one - before[name]).square().mean()) for name, one in model.network.named_parameters())


def test_an_anchor_keeps_weights_near_the_source(labelled: tuple[AdaptConfig, Job], tmp_path: Path) -> None:
    config, job = labelled
    free = moved(job, with_additions(config, clip=1e9), tmp_path / "free")
    held = moved(job, with_additions(config, clip=1e9, anchor=1e5), tmp_path / "held")
    assert 0 < held < 0.8 * free


def test_classmix_is_among_the_losses(labelled: tuple[AdaptConfig, Job], tmp_path: Path) -> None:
    config, job = labelled
    settings = with_additions(config, classmix=1.0, steps=2)
    _, losses = adapt_model(
        model_of_files(source_files()), Examples(Panoramas(job), [], settings), settings, str(tmp_path), 9, "cpu"
    )
    assert all(row["classmix"] > 0 for row in losses)


def test_the_teacher_is_a_slow_average(labelled: tuple[AdaptConfig, Job]) -> None:
    network = model_of_files(source_files()).network
    additions = Additions(network, with_additions(labelled[0], classmix=1.0))
    before = {name: value.clone() for name, value in additions.state().items()}
    with torch.no_grad():
        network.semantic.name.bias += 1.0
    additions.follow(network)
    after = additions.state()
    np.testing.assert_allclose(after["semantic.name.bias"] - before["semantic.name.bias"], 1 - INERTIA, rtol=1e-3)
    assert torch.equal(after["semantic.name.weight"], before["semantic.name.weight"])
    assert not network.training
    assert not any(one.requires_grad for one in additions.teacher.parameters())


def test_what_is_off_changes_no_fingerprint(labelled: tuple[AdaptConfig, Job]) -> None:
    config, _ = labelled
    plain = identity(config, "m", {})
    assert not {"anchor", "classmix"} & plain.settings.keys()
    on = config.model_copy(update={"training": with_additions(config, anchor=10.0)})
    assert identity(on, "m", {}).fingerprint != plain.fingerprint
