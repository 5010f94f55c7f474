"""From predictions on panoramas to what the network learns, the whole way."""

import numpy as np
import pytest

from models.adaptation.crops import crop, random_window
from models.adaptation.mixing import choose, mix
from models.adaptation.object_pool import cut_objects
from models.adaptation.pseudo_labels import OmniLabels, omni_labels
from models.adaptation.targets import example_target
from models.adaptation.thresholds import AMODAL, POOL, class_thresholds, score_histogram

HEIGHT, WIDTH, CLASSES, THINGS = 16, 48, 4, range(2, 4)


def predictions(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image, class map, and a branch's masks, classes and scores; rectangles, some across the seam."""
    generator = np.random.default_rng(seed)
    masks, classes = np.zeros((8, HEIGHT, WIDTH), bool), generator.integers(2, CLASSES, 8)
    semantics = np.ones((HEIGHT, WIDTH), np.uint8)
    for mask, label in zip(masks, classes):
        top, left, height, width = (int(v) for v in generator.integers((0, 0, 3, 3), (12, WIDTH, 8, 14)))
        mask[top : top + height, np.arange(left, left + width) % WIDTH] = True
        semantics[mask] = label
    return generator.integers(1, 256, (HEIGHT, WIDTH, 3), np.uint8), semantics, masks, classes, generator.random(8)


def labels_of(seed: int, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, OmniLabels]:
    image, semantics, masks, classes, scores = predictions(seed)
    return image, semantics, omni_labels(masks, classes, scores, semantics >= THINGS.start, thresholds)


def test_the_whole_way() -> None:
    everyone = [predictions(seed) for seed in range(6)]
    histograms = [score_histogram(scores, classes, CLASSES, AMODAL.least) for *_, classes, scores in everyone]
    total = sum(histograms[1:], histograms[0])
    thresholds, strict = class_thresholds(total, AMODAL), class_thresholds(total, POOL)
    assert (strict[2:] >= thresholds[2:]).all()
    pool = []
    for number, (image, _, masks, classes, scores) in enumerate(everyone):
        certain = scores >= thresholds[classes]
        sure = scores[certain] >= strict[classes[certain]]
        pool += cut_objects(str(number), image, masks[certain], classes[certain], scores[certain], sure)
    assert pool
    generator = np.random.default_rng(0)
    pasted = 0
    for seed in range(6):
        image, semantics, labels = labels_of(seed, thresholds)
        window = random_window((HEIGHT, WIDTH), (12, 20), generator)
        example, uncertain = crop(image, semantics, labels, labels, window)
        mixed = mix(example, choose(pool, example, generator), generator)
        pasted += int(mixed.covered.sum())
        target = example_target(mixed, uncertain, THINGS.start, wrap=False)
        assert target.semantics.shape == (12, 20)
        for branch in (target.instances, target.amodals):
            assert len(branch.boxes) == len(branch.classes) == len(branch.masks)
            assert branch.masks.flatten(1).any(dim=1).all()
            assert ((branch.classes >= 0) & (branch.classes < len(THINGS))).all()
            assert not (branch.uncertain.numpy() & mixed.covered).any()
        np.testing.assert_array_equal(target.instances.uncertain.numpy(), uncertain[0] & ~mixed.covered)
    assert pasted > 0


def test_a_crop_across_the_seam_is_that_of_a_turned_panorama() -> None:
    thresholds = np.full(CLASSES, 0.5)
    image, semantics, labels = labels_of(1, thresholds)
    example, uncertain = crop(image, semantics, labels, labels, np.array([2, 40, 12, 20]))
    turned = OmniLabels(
        np.roll(labels.masks, 8, axis=2), labels.classes, labels.scores, labels.boxes, np.roll(labels.uncertain, 8, axis=1)
    )
    other, regions = crop(np.roll(image, 8, axis=1), np.roll(semantics, 8, axis=1), turned, turned, np.array([2, 0, 12, 20]))
    np.testing.assert_array_equal(example.image, other.image)
    np.testing.assert_array_equal(example.instances, other.instances)
    np.testing.assert_array_equal(example.amodal_classes, other.amodal_classes)
    np.testing.assert_array_equal(uncertain[0], regions[0])


def test_windows_are_inside_and_reach_across() -> None:
    generator = np.random.default_rng(0)
    windows = np.array([random_window((HEIGHT, WIDTH), (12, 20), generator) for _ in range(200)])
    assert (windows[:, 0].min(), windows[:, 0].max()) == (0, HEIGHT - 12)
    assert (windows[:, 1].min(), windows[:, 1].max()) == (0, WIDTH - 1)
    assert random_window((HEIGHT, WIDTH), (HEIGHT, WIDTH), generator)[0] == 0
    with pytest.raises(ValueError, match="does not fit"):
        random_window((HEIGHT, WIDTH), (HEIGHT + 1, 8), generator)
