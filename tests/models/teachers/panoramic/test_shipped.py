"""The network of six faces that ships with panolabel: small, free, made by the recipe that is here, and better than a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.cubemap.arms import FULL, unchanged
from benchmarks.cubemap.train_teacher import judged
from models.cubemap.checkpoint import load_network
from models.teachers import load_teacher, wanted_views
from models.teachers.weights import CUBEMAP
from scenes.training_faces import load_faces
from scenes.training_shards import UNSEEN
from tasks.label.teachers.licences import stated_licence


def test_it_is_small_and_free_and_its_card_tells_its_recipe() -> None:
    assert sum(file.stat().st_size for file in CUBEMAP.iterdir()) < 8e6
    assert stated_licence("cubemap") == "apache-2.0"
    assert unchanged(FULL[0])
    views = wanted_views("cubemap", {"model": "cubemap"})
    assert [(camera.width, round(float(np.degrees(camera.fov)), 6)) for camera in views.cameras] == [(104, 90.0)] * 6
    assert load_teacher("cubemap", {"model": "cubemap"}, "cpu").fields == ("depth", "normals", "sky")


def test_it_knows_rooms_and_streets_that_it_has_not_seen(tmp_path: Path) -> None:
    room, street = judged(load_network(CUBEMAP), load_faces(tmp_path, UNSEEN, 2, 104, processes=1))
    assert max(room["abs_rel"], street["abs_rel"]) < 0.4
    assert max(room["normal_mean_degrees"], street["normal_mean_degrees"]) < 30
    assert (room["route"], street["route"]) == (1.0, 1.0)
    assert street["sky_iou"] > 0.8
