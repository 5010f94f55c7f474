"""Dusk changes what a scene looks like, and nothing of what is there."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenes.build import build_scene
from scenes.dataset import write_dataset
from scenes.dusk import at_dusk, noisy


def test_dusk_darkens_and_greys_the_same_street() -> None:
    scene = build_scene("street", 200_001)
    dusk = at_dusk(scene, np.random.default_rng(0))
    assert np.array_equal(dusk.instances, scene.instances)
    assert sum(dusk.ambient) < sum(scene.ambient)
    for one, other in zip(scene.materials, dusk.materials, strict=True):
        assert np.ptp(other.colour) == pytest.approx(np.ptp(one.colour) / 2)


def test_noise_has_a_spread_of_five_grey_levels_and_no_bias() -> None:
    grey = np.full((64, 128, 3), 128, np.uint8)
    change = noisy(grey, np.random.default_rng(0)) - 128.0
    assert change.mean() == pytest.approx(0, abs=0.1)
    assert change.std() == pytest.approx(5, rel=0.03)


def test_a_data_set_at_dusk_has_the_truth_of_the_day_and_darker_images(tmp_path: Path) -> None:
    for light in ("day", "dusk"):
        write_dataset(tmp_path / light, "street", 1, 12, 32, 64, supersample=1, processes=1, dusk=light == "dusk")
    day, dusk = tmp_path / "day", tmp_path / "dusk"
    for name in ("truth/street_00012.npz", "truth/street_00012_amodal.json", "images/street_00012.json"):
        assert (day / name).read_bytes() == (dusk / name).read_bytes()
    images = [cv2.imread(str(folder / "images" / "street_00012.png")).mean() for folder in (day, dusk)]
    assert images[1] < images[0] - 5
    abouts = [json.loads((folder / "dataset.json").read_text()) for folder in (day, dusk)]
    assert "light" not in abouts[0]
    assert abouts[1] == {**abouts[0], "light": "dusk"}
