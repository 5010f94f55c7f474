"""A crop and its labels show the same: the image tells, pixel by pixel, what was labelled there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.seamless.labels import SeamlessTruth
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.vocabularies import IGNORED, THINGS
from tasks.train.seamless.crops import training_crop
from tests.support.seamless_sets import HEIGHT, WIDTH, write_amodal_synth_drive


@pytest.fixture
def truth(tmp_path: Path) -> SeamlessTruth:
    write_amodal_synth_drive(tmp_path)
    found = open_seamless_data("amodal_synth_drive", str(tmp_path)).truth(0)
    assert found is not None
    return found


def telling(truth: SeamlessTruth) -> np.ndarray:
    """Class, visible and whole objects, as bits, of every pixel."""
    assert truth.wholes is not None
    bits = 1 << np.arange(int((~truth.crowd).sum()))[:, None, None]
    single = ~truth.crowd
    return np.stack(
        [truth.semantics, (truth.visible[single] * bits).sum(axis=0), (truth.wholes[single] * bits).sum(axis=0)], axis=-1
    ).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 32), (32, 96), (16, 96)])
def test_labels_are_those_of_the_pixels(truth: SeamlessTruth, size: tuple[int, int]) -> None:
    image, seen = telling(truth), set()
    for seed in range(20):
        pixels, target = training_crop(image, truth, size, np.random.default_rng(seed))
        assert pixels.shape == (*size, 3)
        semantics = target.semantics.numpy()
        # What continues a small image is black and unlabelled.
        inside = np.zeros(size, bool)
        inside[: min(size[0], HEIGHT), : min(size[1], WIDTH)] = True
        if not (semantics[inside] == pixels[..., 0][inside]).all():
            inside = inside[:, ::-1]
        np.testing.assert_array_equal(semantics[inside], pixels[..., 0][inside])
        assert (semantics[~inside] == IGNORED).all()
        for channel, branch in ((1, target.instances), (2, target.amodals)):
            numbers = {int(label): bit for bit, label in enumerate(truth.classes[~truth.crowd])}
            for mask, label in zip(branch.masks.numpy(), branch.classes.tolist()):
                bit = numbers[label + THINGS.start]
                np.testing.assert_array_equal(mask, pixels[..., channel] >> bit & 1)
        seen.add(pixels.tobytes())
        covered = target.amodals.masks.numpy().any(axis=0)
        np.testing.assert_array_equal(target.instances.uncertain.numpy(), semantics == IGNORED)
        np.testing.assert_array_equal(target.amodals.uncertain.numpy(), (semantics == IGNORED) & ~covered)
    assert len(seen) > 1
    again = training_crop(image, truth, size, np.random.default_rng(19))[0]
    np.testing.assert_array_equal(again, pixels)


def test_without_whole_masks_the_amodal_branch_is_told_nothing(truth: SeamlessTruth) -> None:
    target = training_crop(telling(truth), replace(truth, wholes=None), (32, 64), np.random.default_rng(0))[1]
    assert (len(target.instances.boxes), len(target.amodals.boxes)) == (2, 0)
