"""The shipped network, loaded like any hub model, is better than chance on scenes that it has not seen."""

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.fields import canonical
from models.teachers import load_teacher
from scenes.training_views import Views, render_scene_views

UNSEEN = range(70_000, 70_012)


@pytest.mark.slow
def test_it_beats_its_floors_on_unseen_scenes() -> None:
    teacher = load_teacher("transformers", {"model": "demo"}, "cpu")
    parts = [render_scene_views(seed, 128) for seed in UNSEEN]
    views = Views(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})
    cameras = [Camera.looking(128, 128, np.pi / 2)] * len(views.image)
    said = teacher(views.image, cameras, {})
    known = (views.depth > 0) & (views.depth < 80)
    relative = np.abs(said["depth"].values / np.maximum(views.depth.astype(np.float32), 1e-3) - 1)[known]
    # The best that one distance for every pixel of a kind of scene could do.
    street = (np.arange(len(views.image)) // 4 % 2 == 1)[:, None, None]
    constant = np.where(street, np.median(views.depth[known & street]), np.median(views.depth[known & ~street]))
    chance = np.abs(constant / np.maximum(views.depth.astype(np.float32), 1e-3) - 1)[known]
    assert relative.mean() < 0.8 * chance.mean()
    right = said["semantics"].values[..., 0] == views.semantics
    assert right.mean() > 0.65
    true = views.normals.astype(np.float32) / 127
    cosine = (said["normals"].values * true).sum(-1) / np.maximum(np.linalg.norm(true, axis=-1), 1e-6)
    assert np.degrees(np.arccos(np.clip(cosine[views.depth > 0], -1, 1))).mean() < 35
    assert canonical(said["normals"], cameras).frame == "world"
