"""Truth said again has perfect figures; saying one class has those that follow by hand; chosen thresholds are the best ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from metrics.seamless.suite import suite_counts
from models.seamless.branch import BranchSettings
from models.seamless.fusion import Detections, FusionRule
from models.seamless.network import SMALL, SeamlessNetwork, SeamlessSettings
from models.seamless.proposals import ProposalSettings
from models.seamless.saved import SeamlessModel
from tasks.seamless import scores as scoring
from tasks.seamless.found import found_labels
from tasks.seamless.reading import SeamlessData, open_seamless_data
from tasks.seamless.scores import find_in, majority_figures, measure, score, truth_labels
from tasks.seamless.vocabularies import IGNORED, K2B, THINGS
from tests.support.seamless_sets import HEIGHT, WIDTH, street, write_cityscapes, write_kitti360_aps

Found = tuple[np.ndarray, Detections, Detections]


@pytest.fixture
def data(tmp_path: Path) -> SeamlessData:
    write_kitti360_aps(tmp_path)
    return open_seamless_data("kitti360_aps", str(tmp_path))


def model(seam: int = 0) -> SeamlessModel:
    torch.manual_seed(0)
    branch = BranchSettings(ProposalSettings(candidates=20, limit=20), hidden=16, mask_layers=0)
    settings = SeamlessSettings(len(K2B), THINGS, encoder_config=SMALL, channels=8, seam=seam, branch=branch)
    return SeamlessModel(SeamlessNetwork(settings).eval(), K2B)


def as_found(data: SeamlessData, scores: tuple[float, float]) -> Found:
    """The truth of the two objects, found with these scores."""
    truth = data.labelled(0)[1]
    assert truth.wholes is not None
    single, sure = ~truth.crowd, np.array(scores)
    semantics = np.where(truth.semantics == IGNORED, 0, truth.semantics).astype(np.int64)
    semantics[street().crowd] = K2B.index("car")
    return (
        semantics,
        Detections(truth.visible[single], truth.classes[single], sure),
        Detections(truth.wholes[single], truth.classes[single], sure),
    )


def test_truth_said_again_is_perfect(data: SeamlessData) -> None:
    truth = truth_labels(data.labelled(0)[1])
    said = found_labels(*as_found(data, (0.9, 0.8)), FusionRule(THINGS, 0.5, 0.5, 0))
    figures = suite_counts(said, truth, len(K2B)).figures(THINGS)
    assert [figures[name] for name in ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP")] == pytest.approx([1] * 5)
    assert truth.panoptic.crowd is not None
    assert truth.panoptic.crowd.sum() == 1


def test_thresholds_are_chosen_for_each_branch(data: SeamlessData, monkeypatch: pytest.MonkeyPatch) -> None:
    """A false object of score 0.62 spoils what is below, a true one of score 0.7 what is above; in the amodal branch alone."""
    semantics, instances, amodals = as_found(data, (0.95, 0.72))
    wrong = np.zeros((1, HEIGHT, WIDTH), bool)
    wrong[0, 11:16, 8:12] = True
    spoilt = Detections(np.concatenate([amodals.masks, wrong]), np.append(amodals.classes, 13), np.append(amodals.scores, 0.62))
    monkeypatch.setattr(scoring, "find_in", lambda _model, _image: (semantics, instances, spoilt))
    figures, rule = score(model(), data, 0)
    assert (rule.instance_score, rule.amodal_score) == (0.3, 0.65)
    assert (figures["mPQ"], figures["mAPQ"]) == (pytest.approx(1), pytest.approx(1))
    assert score(model(), data, 0, thresholds=(0.3,))[0]["mAPQ"] < 1
    assert measure(model(), data, rule) == figures
    assert measure(model(), data, FusionRule(THINGS, 0.96, 0.65, 0))["mPQ"] == pytest.approx(0.5)


def test_the_floor_follows_by_hand(data: SeamlessData) -> None:
    shown = street()
    nothing = shown.void | shown.crowd
    things = shown.visible.any(axis=0)
    road, sky = (int((mask & ~things & ~nothing).sum()) for mask in (shown.road, ~shown.road))
    figures = majority_figures(data)
    labelled = int((~nothing).sum())
    assert figures["mIoU"] == pytest.approx(max(road, sky) / labelled / 4)
    assert (figures["mAP"], figures["mAAP"]) == (0, 0)


def test_images_of_any_size_are_searched(data: SeamlessData) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    semantics, instances, amodals = find_in(model(), image)
    assert semantics.shape == (50, 70)
    assert instances.masks.shape[1:] == amodals.masks.shape[1:] == (50, 70)
    assert find_in(model(seam=32), image[:, :64])[0].shape == (50, 64)
    with pytest.raises(ValueError, match="multiple of 32 columns wide, not 70"):
        find_in(model(seam=32), image)


def test_what_cannot_be_measured(data: SeamlessData, tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "other")
    cityscapes = open_seamless_data("cityscapes", str(tmp_path / "other"))
    with pytest.raises(ValueError, match="classes are not those of cityscapes"):
        score(model(), cityscapes, 0)
    truth = cityscapes.truth(0)
    assert truth is not None
    with pytest.raises(ValueError, match="no amodal labels"):
        truth_labels(truth)
