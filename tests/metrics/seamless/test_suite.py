"""All figures together: perfect, empty, and the same however images are spread over blocks."""

from pathlib import Path

import numpy as np
import pytest

from metrics.seamless.amodal_panoptic import AmodalPanoptic
from metrics.seamless.objects import Objects, no_objects
from metrics.seamless.panoptic import PanopticMap
from metrics.seamless.suite import SeamlessLabels, SuiteCounts, from_arrays, merged, suite_counts
from tests.metrics.seamless.samples import CLASSES, HEIGHT, STUFF, WIDTH, sample

THINGS = range(STUFF, CLASSES)


def labels(panoptic: PanopticMap, objects: Objects, void: np.ndarray | None) -> SeamlessLabels:
    semantics = np.where(panoptic.segments >= 0, panoptic.classes[panoptic.segments], 255)
    stuff = np.where((panoptic.segments >= 0) & (panoptic.segments < STUFF), panoptic.segments, -1)
    return SeamlessLabels(semantics, panoptic, AmodalPanoptic(stuff, objects, void), objects, objects)


def pair(seed: int) -> tuple[SeamlessLabels, SeamlessLabels]:
    one = sample(seed)
    return labels(one.prediction, one.detections, None), labels(one.truth, one.true_objects, one.void)


def test_truth_against_itself_is_perfect() -> None:
    truth = merged(suite_counts(pair(seed)[1], pair(seed)[1], CLASSES) for seed in range(3))
    figures = truth.figures(THINGS)
    assert {name: figures[name] for name in ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP")} == dict.fromkeys(
        ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP"), 1.0
    )
    assert figures["mAAP_seam"] in (None, 1.0)


def test_blocks_in_any_grouping_stored_and_read_again_give_the_same(tmp_path: Path) -> None:
    parts = [suite_counts(*pair(seed), CLASSES) for seed in range(6)]
    expected = merged(parts).figures(THINGS)
    blocks = [merged(parts[4:]), merged(parts[:1]), merged(parts[1:4])]
    again: list[SuiteCounts] = []
    for index, block in enumerate(blocks):
        np.savez(tmp_path / f"{index}.npz", **block.arrays())
        again.append(from_arrays(np.load(tmp_path / f"{index}.npz")))
    assert merged(again).figures(THINGS) == pytest.approx(expected, rel=1e-12)
    assert all(value is not None and 0 < value < 1 for name, value in expected.items() if name != "mAAP_seam")


def test_nothing_predicted_and_nothing_there() -> None:
    truth = pair(0)[1]
    empty = PanopticMap(np.full((HEIGHT, WIDTH), -1), np.zeros(0, int))
    nobody = no_objects(HEIGHT, WIDTH)
    silent = SeamlessLabels(
        np.full((HEIGHT, WIDTH), 255), empty, AmodalPanoptic(np.full((HEIGHT, WIDTH), -1), nobody), nobody, nobody
    )
    figures = suite_counts(silent, truth, CLASSES).figures(THINGS)
    assert [figures[name] for name in ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP")] == [0, 0, 0, 0, 0]
    assert set(suite_counts(silent, silent, CLASSES).figures(THINGS).values()) == {None}
    with pytest.raises(ValueError, match="no image was measured"):
        merged([])
