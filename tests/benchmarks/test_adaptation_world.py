"""The target world of the adaptation experiment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.adaptation import world
from tasks.seamless.vocabularies import IGNORED, THINGS

SEED = world.FIRST_SEED["adapt"] + 1


@pytest.fixture(scope="module")
def panorama() -> world.Panorama:
    return world.panorama(SEED)


def test_truth_is_of_things_that_show_and_of_the_rest_of_them(panorama: world.Panorama) -> None:
    truth = panorama.truth
    assert panorama.image.shape == (world.HEIGHT, world.WIDTH, 3)
    assert len(truth.classes)
    assert set(truth.classes) <= set(THINGS)
    assert truth.wholes is not None
    assert (truth.visible.sum(axis=(1, 2)) >= world.SMALLEST).all()
    assert not (truth.visible & ~truth.wholes).any()
    assert truth.visible.sum(axis=0).max() == 1
    assert set(np.unique(truth.semantics)) <= {*range(THINGS.stop), IGNORED}
    for mask, label in zip(truth.visible, truth.classes):
        assert (truth.semantics[mask] == label).all()


def test_panorama_comes_back_from_its_file(panorama: world.Panorama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(world.COUNTS, "adapt", 1)
    monkeypatch.setitem(world.FIRST_SEED, "adapt", SEED)
    for _ in range(2):  # rendered, then read
        (back,) = world.panoramas(tmp_path, "adapt")
        assert np.array_equal(back.image, panorama.image)
        for name in ("semantics", "visible", "classes", "wholes"):
            assert np.array_equal(getattr(back.truth, name), getattr(panorama.truth, name))


def test_no_scene_is_in_two_splits() -> None:
    seeds = [first + index for split, first in world.FIRST_SEED.items() for index in range(world.COUNTS[split])]
    assert len(seeds) == len(set(seeds))
