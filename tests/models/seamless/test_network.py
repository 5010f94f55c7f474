"""The whole network learns a panorama with an object across the seam and one behind another, and says all it should."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.adaptation.mixing import Example
from models.adaptation.targets import branch_target, example_target
from models.seamless.boxes import box_iou
from models.seamless.branch import BranchSettings, InstanceBranch
from models.seamless.network import LARGE, SMALL, SeamlessNetwork, SeamlessSettings, Target
from models.seamless.proposals import ProposalSettings

HEIGHT, WIDTH, CLASSES, THINGS = 64, 128, 4, range(2, 4)
PROPOSALS = ProposalSettings(size=4, candidates=100, limit=40, sampled=64)
BRANCH = BranchSettings(PROPOSALS, hidden=64, mask_layers=1, sampled=32)
SETTINGS = SeamlessSettings(CLASSES, THINGS, encoder_config=SMALL, channels=24, seam=32, branch=BRANCH)
NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def network(settings: SeamlessSettings = SETTINGS) -> SeamlessNetwork:
    torch.manual_seed(0)
    return SeamlessNetwork(settings)


def disc(row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return (y - row) ** 2 + ((x - column + WIDTH / 2) % WIDTH - WIDTH / 2) ** 2 < radius**2


def scene(shift: int = 0) -> tuple[torch.Tensor, Target]:
    """Discs of two kinds on a grey ground: the second hides part of the first, the third lies across the seam."""
    discs = [(32.0, 60, 13, 2), (36.0, 72, 10, 3), (24.0, 125, 14, 2)]
    wholes = np.array([disc(row, column + shift, radius) for row, column, radius, _ in discs])
    classes = np.array([label for *_, label in discs])
    image, semantics, visible = np.full((3, HEIGHT, WIDTH), -0.5, np.float32), np.ones((HEIGHT, WIDTH), np.uint8), wholes.copy()
    for index, (mask, label) in enumerate(zip(wholes, classes)):
        visible[:index] &= ~mask
        image[:, mask] = np.array([[2.0, -2, 0], [-2.0, 2, 0]][label - 2])[:, None]
        semantics[mask] = label
    window = np.array([0, 0, HEIGHT, WIDTH])
    example = Example((HEIGHT, WIDTH), window, image, semantics, visible, classes, wholes, classes, NOTHING)
    return torch.from_numpy(image)[None], example_target(example, (NOTHING, NOTHING), THINGS.start, wrap=True)


@pytest.mark.slow
def test_it_learns_objects_across_the_seam_and_behind_each_other() -> None:
    made, generator, losses = network(), torch.Generator().manual_seed(0), []
    optimiser = torch.optim.AdamW(made.parameters(), lr=5e-3)
    for step in range(44):
        image, target = scene(32 * (step % 4))
        each = made.losses(image, [target], generator)
        total = torch.stack(list(each.values())).sum()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 5.0)
        optimiser.step()
        losses.append(float(total.detach()))
    assert len(each) == 11
    assert np.mean(losses[-4:]) < 0.4 * losses[0]
    image, target = scene()
    found = made.eval().find(image)[0]
    assert (found.semantics == target.semantics).float().mean() > 0.9
    assert ((found.confidence > 0) & (found.confidence <= 1)).all()
    for branch, truth in ((found.instances, target.instances), (found.amodals, target.amodals)):
        sure = branch.scores > 0.5
        shared = (branch.masks[sure][:, None] & truth.masks[None]).flatten(2).sum(dim=2)
        union = (branch.masks[sure][:, None] | truth.masks[None]).flatten(2).sum(dim=2)
        best, index = (shared / union).max(dim=0)
        assert (best > 0.6).all(), "each object is found, the one across the seam in one piece"
        assert torch.equal(branch.classes[sure][index], truth.classes + THINGS.start)


def test_one_set_of_weights_serves_panoramas_and_crops() -> None:
    panorama, crop = network(), network(replace(SETTINGS, seam=0))
    crop.load_state_dict(panorama.state_dict())
    image = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    assert [tuple(level.shape) for level in panorama.features(image)] == [
        (2, 24, 8, 16),
        (2, 24, 4, 8),
        (2, 24, 2, 4),
        (2, 24, 1, 2),
        (2, 24, 1, 1),
    ]
    assert [level.shape for level in crop.features(image)] == [level.shape for level in panorama.features(image)]


def test_nothing_to_learn_and_nothing_found() -> None:
    made = network()
    nobody = branch_target(np.zeros((1, HEIGHT, WIDTH), bool), np.array([2]), NOTHING, THINGS.start, wrap=True)
    assert nobody.boxes.shape == (0, 4)
    target = Target(torch.full((HEIGHT, WIDTH), 255), nobody, nobody)
    each = made.losses(torch.zeros(1, 3, HEIGHT, WIDTH), [target], torch.Generator().manual_seed(0))
    total = torch.stack(list(each.values())).sum()
    total.backward()
    assert torch.isfinite(total)
    assert each["semantic"] == each["instances.mask"] == each["amodals.box"] == 0
    strict = network(replace(SETTINGS, branch=replace(BRANCH, least_score=1.0)))
    found = strict.eval().find(torch.zeros(1, 3, HEIGHT, WIDTH))[0]
    assert found.instances.masks.shape == (0, HEIGHT, WIDTH)


def test_boxes_that_are_mostly_uncertain_can_be_left_out() -> None:
    uncertain = NOTHING.copy()
    uncertain[:, 64:] = True
    proposed = torch.tensor([[10.0, 10, 30, 30], [80, 10, 100, 30], [50, 10, 70, 30]])
    target = branch_target(disc(20, 20, 10)[None], np.array([2]), uncertain, THINGS.start, wrap=True)
    kept = {}
    for ignore in (False, True):
        branch = InstanceBranch(8, (4, 8, 16, 32), 2, replace(BRANCH, ignore_uncertain=ignore), wrap=True)
        boxes, match, positive = branch._sampled(proposed, target, torch.Generator().manual_seed(0))
        kept[ignore] = sorted(boxes[:, 0].tolist())
        assert positive.sum() == 2
        assert (match == 0).all()
    assert kept == {False: [10, 10, 50, 80], True: [10, 10, 50]}


def test_targets_have_boxes_of_their_own_pixels_and_pasted_pixels_are_certain() -> None:
    target = scene()[1]
    assert box_iou(target.amodals.boxes, torch.tensor([[111.0, 10, 139, 38]]), WIDTH)[2] > 0.95
    assert target.instances.masks[0].sum() < target.amodals.masks[0].sum()
    crop = branch_target(disc(24, 125, 14)[None], np.array([2]), NOTHING, THINGS.start, wrap=False)
    assert crop.boxes[0, [0, 2]].tolist() == [0, WIDTH], "a crop has no seam to cross"
    covered = disc(20, 20, 10)
    empty = np.zeros((0, HEIGHT, WIDTH), bool)
    image, semantics, window = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros(4, int)
    example = Example((HEIGHT, WIDTH), window, image, semantics, empty, np.zeros(0, int), empty, np.zeros(0, int), covered)
    made = example_target(example, (~NOTHING, NOTHING), THINGS.start, wrap=False)
    np.testing.assert_array_equal(made.instances.uncertain.numpy(), ~covered)
    assert not made.amodals.uncertain.any()


def test_settings_are_checked_and_the_large_encoder_is_of_its_size() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        SeamlessSettings(CLASSES, THINGS, seam=20)
    with pytest.raises(ValueError, match="multiples of 32"):
        network().features(torch.zeros(1, 3, 40, 64))
    with torch.device("meta"):
        large = SeamlessNetwork(SeamlessSettings(18, range(11, 18), encoder_config=LARGE))
    assert sum(parameter.numel() for parameter in large.encoder.parameters()) == pytest.approx(81.4e6, rel=0.03)
