"""Truth is read in the network's terms: said back, it is perfect, and spoiled by hand, the figures tell."""

from pathlib import Path

import numpy as np
import pytest

from metrics.seamless.suite import suite_counts
from models.adaptation.pseudo_labels import IGNORED
from models.seamless.fusion import Detections
from tasks.adapt.compare import Scoring, fused
from tasks.seamless.panorama_truth import truth_source
from tests.support.discs import CLASSES, HEIGHT, THINGS, scene, visible_parts, write_panoramas

SCORING = Scoring(least_stuff=0)


def test_the_truth_itself_is_perfect(tmp_path: Path) -> None:
    write_panoramas(tmp_path, range(10, 11))
    truth = truth_source(str(tmp_path), CLASSES, THINGS).read("p10", HEIGHT)
    assert truth is not None
    _, semantics, wholes, classes = scene(10)
    np.testing.assert_array_equal(truth.semantics, semantics)
    np.testing.assert_array_equal(truth.amodals.masks, wholes)
    np.testing.assert_array_equal(truth.instances.masks, visible_parts(wholes))
    sure = np.full(len(wholes), 0.9)
    said = fused(semantics, Detections(visible_parts(wholes), classes, sure), Detections(wholes, classes, sure), THINGS, SCORING)
    figures = suite_counts(said, truth, len(CLASSES)).figures(THINGS)
    assert {name: figures[name] for name in ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP")} == dict.fromkeys(
        ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP"), pytest.approx(1.0)
    )
    half = fused(semantics, Detections(wholes[:0], classes[:0], sure[:0]), Detections(wholes, classes, sure), THINGS, SCORING)
    spoiled = suite_counts(half, truth, len(CLASSES)).figures(THINGS)
    assert spoiled["mAP"] == 0.0
    assert spoiled["mAAP"] == pytest.approx(1.0)


def test_other_sizes_and_other_classes(tmp_path: Path) -> None:
    write_panoramas(tmp_path, range(10, 11))
    names = ("person", "sky", "wall")
    truth = truth_source(str(tmp_path), names, range(1)).read("p10", 32)
    assert truth is not None
    assert truth.semantics.shape == (32, 64)
    assert set(np.unique(truth.semantics)) <= {0, 1, IGNORED}
    assert (truth.amodals.classes == 0).all()
    assert (truth.amodal_panoptic.void == (truth.semantics == IGNORED)).all()
    assert truth_source(str(tmp_path), names, range(1)).read("p99", 32) is None
    with pytest.raises(ValueError, match="differ"):
        truth_source(str(tmp_path), ("a", "b"), range(1))
    (tmp_path / "truth" / "p10.npz").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"p10\.npz: the truth cannot be read"):
        truth_source(str(tmp_path), names, range(1)).read("p10", 32)
