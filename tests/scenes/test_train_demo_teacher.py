"""The recipe of the shipped network, run for real on a tiny scale."""

from pathlib import Path

import numpy as np
import pytest
import torch

from geometry.cameras import Camera
from models.teachers import load_teacher
from scenes.train_demo_teacher import Recipe, evaluate, save, train
from scenes.training_views import load_views

TINY = Recipe(size=32, scenes=6, unseen_scenes=2, steps=40, batch=8, hidden=32, layers=4, fusion=16, learning_rate=3e-3)


@pytest.mark.slow
def test_it_learns_reproducibly_and_loads_through_the_adapter(tmp_path: Path) -> None:
    views = load_views(tmp_path / "views", 0, TINY.scenes, TINY.size, processes=1)
    assert views.image.shape == (24, 32, 32, 3)
    network, losses = train(TINY, views)
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])
    again, _ = train(Recipe(**{**vars(TINY), "steps": 3}), views)
    same, _ = train(Recipe(**{**vars(TINY), "steps": 3}), views)
    for name, value in again.state_dict().items():
        torch.testing.assert_close(value, same.state_dict()[name], rtol=0, atol=0)

    save(network, TINY, tmp_path / "network")
    teacher = load_teacher("transformers", {"model": str(tmp_path / "network"), "task": "dense"}, "cpu")
    cameras = [Camera.looking(32, 32, np.pi / 2)] * 2
    said = teacher(views.image[:2], cameras, {})
    assert {"depth", "normals", "semantics"} <= said.keys()
    figures = evaluate(network, views, np.arange(2))
    ratio = said["depth"].values / np.where(views.depth[:2] > 0, views.depth[:2], np.inf)
    known = (views.depth[:2] > 0) & (views.depth[:2] < 80) & said["depth"].valid
    assert abs(np.abs(ratio - 1)[known].mean() - figures["abs_rel"]) < 0.05
