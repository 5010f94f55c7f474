"""The anchor holds weights back; ClassMix has a slow teacher and is among the losses; neither counts when off."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.pipeline import Config
from models.seamless.saved import model_of_files
from tasks.adapt.adapt import KIND
from tasks.adapt.additions import INERTIA, Additions
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.settings import AdaptTraining, Learning
from tasks.adapt.training import adapt_model
from tasks.stage.job import Job
from tests.support.discs import job_of, make_owed, read, source_files, write_adaptation


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Job]:
    """Pseudo-labels of two panoramas, and the job that trains on them."""
    config = read(write_adaptation(tmp_path_factory.mktemp("discs"), 2))
    make_owed(config, until="adapt")
    return config, job_of(config, "adapt")


def with_additions(job: Job, **changes: Any) -> Learning:
    changed: Learning = job.settings.model_copy(update=changes)
    return changed


def moved(job: Job, settings: AdaptTraining, folder: Path) -> float:
    """Summed mean squares by which a training moves the weights."""
    before = dict(model_of_files(source_files()).network.named_parameters())
    model, _ = adapt_model(
        model_of_files(source_files()), Examples(Panoramas(job), [], settings), settings, str(folder), 9, "cpu"
    )
    return sum(float((one - before[name]).square().mean()) for name, one in model.network.named_parameters())


def test_an_anchor_keeps_weights_near_the_source(labelled: tuple[Config, Job], tmp_path: Path) -> None:
    _, job = labelled
    free = moved(job, with_additions(job, clip=1e9), tmp_path / "free")
    held = moved(job, with_additions(job, clip=1e9, anchor=1e5), tmp_path / "held")
    assert 0 < held < 0.8 * free


def test_classmix_is_among_the_losses(labelled: tuple[Config, Job], tmp_path: Path) -> None:
    _, job = labelled
    settings = with_additions(job, classmix=1.0, steps=2)
    _, losses = adapt_model(
        model_of_files(source_files()), Examples(Panoramas(job), [], settings), settings, str(tmp_path), 9, "cpu"
    )
    assert all(row["classmix"] > 0 for row in losses)


def test_the_teacher_is_a_slow_average(labelled: tuple[Config, Job]) -> None:
    network = model_of_files(source_files()).network
    additions = Additions(network, with_additions(labelled[1], classmix=1.0))
    before = {name: value.clone() for name, value in additions.state().items()}
    with torch.no_grad():
        network.semantic.name.bias += 1.0
    additions.follow(network)
    after = additions.state()
    np.testing.assert_allclose(after["semantic.name.bias"] - before["semantic.name.bias"], 1 - INERTIA, rtol=1e-3)
    assert torch.equal(after["semantic.name.weight"], before["semantic.name.weight"])
    assert not network.training
    assert not any(one.requires_grad for one in additions.teacher.parameters())


def test_what_is_off_changes_no_fingerprint(labelled: tuple[Config, Job]) -> None:
    config, job = labelled
    plain = job.identity.settings
    assert not {"anchor", "classmix"} & plain.keys()
    assert KIND.says(with_additions(job, anchor=10.0), {}) == {**KIND.says(job.settings, {}), "anchor": 10.0}
    path = Path(config.folder, "discs.yaml")
    on, off = (job_of(read(path, adapt__training__anchor=value), "adapt").identity for value in (10.0, 0.0))
    assert (off, on.fingerprint != off.fingerprint) == (job.identity, True)
