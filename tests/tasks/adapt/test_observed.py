"""Adaptation to a panorama of which a band was photographed: what is black is predicted, learned, pasted and judged nowhere."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from configs.pipeline import Config
from models.adaptation.class_mixing import IGNORED, mix_classes, sure_share, weighted_cross_entropy
from models.adaptation.targets import branch_target
from models.seamless.network import SeamlessNetwork, Target, blank_in
from models.seamless.proposals import ProposalSettings, level_anchors, proposal_loss
from models.seamless.saved import model_of_files
from storage.arrays import BlockReader
from storage.items import Block
from tasks.adapt.arrays import unpack_mask, unpack_objects
from tasks.adapt.compare import found_by
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.pool import read_pool
from tasks.adapt.showcase import labelled, learned_pictures
from tasks.pages.pictures import INVALID
from tasks.seamless.panorama_truth import truth_source
from tasks.seamless.vocabulary import BRANCHES
from tests.support.discs import HEIGHT, THINGS, WIDTH, block_of, job_of, make_owed, read, source_files, step_of, write_adaptation

SEEN = np.zeros((HEIGHT, WIDTH), bool)
SEEN[16:48] = True


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two whole panoramas, and two of which only the 90 degrees around the horizon were photographed; their truth is whole."""
    path = write_adaptation(tmp_path_factory.mktemp("observed"), 4)
    for name in ("p00", "p02"):
        picture = path.parent / "target" / "images" / f"{name}.png"
        cv2.imwrite(str(picture), cv2.imread(str(picture))[16:48])
        picture.with_suffix(".json").write_text(json.dumps({"vertical_degrees": 90.0}))
    found = read(path)
    made = make_owed(found)
    assert {"adapt.predict", "adapt.omni", "adapt.pool", "adapt", "compare"} <= made.keys()
    return found


def stored(config: Config, stage: str) -> list[dict[str, np.ndarray]]:
    """Arrays of the panoramas p00 to p03."""
    blocks = [block_of(config, stage, index) for index in range(2)]
    return [BlockReader(url, receipt.files).item(slot) for url, receipt in blocks for slot in range(2)]


def test_what_is_black_has_no_class_and_no_object(config: Config) -> None:
    for stage in ("adapt.predict", "adapt.omni"):
        for number, arrays in enumerate(stored(config, stage)):
            part = number in (0, 2)
            assert not part or (arrays["semantics"] == IGNORED)[~SEEN].all()
            for branch in BRANCHES:
                found = unpack_objects(branch, arrays, WIDTH)
                assert found.masks.any(axis=(1, 2)).all(), "an empty object is none"
                assert not (part and found.masks[:, ~SEEN].any())
    for number, arrays in enumerate(stored(config, "adapt.predict")):
        part = number in (0, 2)
        np.testing.assert_array_equal(unpack_mask(arrays["observed"], WIDTH), SEEN if part else np.ones_like(SEEN))
        assert (arrays["semantics"] != IGNORED)[SEEN if part else slice(None)].all()
        assert not (part and arrays["confidence"][~SEEN].any())


def test_shares_are_of_what_was_photographed(config: Config) -> None:
    rows = [row for index in range(2) for row in block_of(config, "adapt.omni", index)[1].items]
    for row, arrays in zip(rows, stored(config, "adapt.omni")):
        seen = SEEN if row.item in ("p00", "p02") else np.ones_like(SEEN)
        assert row.figures["ignored"] == pytest.approx((arrays["semantics"][seen] == IGNORED).mean())


def test_objects_of_the_pool_show_no_black(config: Config) -> None:
    pool = read_pool(*block_of(config, "adapt.pool"))
    assert pool
    for one in pool:
        if one.item in ("p00", "p02"):
            top = one.box[0]
            rows = np.flatnonzero(one.whole.any(axis=1)) + top
            assert rows.min() >= 16
            assert rows.max() < 48


def test_examples_say_what_is_blank(config: Config) -> None:
    job = job_of(config, "adapt")
    settings = job.settings.model_copy(update={"mixing": "none", "crop": (64, 64)})
    blank = 0
    examples = Examples(Panoramas(job), [], settings)
    for number in range(2):
        images, targets = examples.batch(number)
        for image, target in zip(images, targets):
            part = bool((image[:16] == 0).all())
            for branch in (target.instances, target.amodals):
                assert (branch.blank is not None) == part
                if branch.blank is not None:
                    np.testing.assert_array_equal(branch.blank.numpy(), ~SEEN[:, :64])
            if part:
                blank += 1
                assert (target.semantics.numpy()[~SEEN[:, :64]] == IGNORED).all()
        together = blank_in(targets)
        assert (together is None) == all(target.instances.blank is None for target in targets)
    assert blank == 2


def test_truth_is_void_where_nothing_was_photographed(config: Config) -> None:
    source = truth_source(
        step_of(config, "adapt").stage.panoramas.settings.source.truth, ("sky", "ground", "car", "person"), THINGS
    )
    whole, part = source.read("p00", HEIGHT), source.read("p00", HEIGHT, SEEN)
    assert whole is not None
    assert part is not None
    np.testing.assert_array_equal(part.semantics, np.where(SEEN, whole.semantics, IGNORED))
    assert part.amodal_panoptic.void[~SEEN].all()
    for objects in (part.instances, part.amodals):
        assert not objects.masks[:, ~SEEN].any()
        assert len(objects)


def test_the_adapted_model_says_nothing_of_black_and_pictures_show_it(config: Config) -> None:
    model = model_of_files(source_files())
    arrays = stored(config, "adapt.predict")[0]
    semantics, *branches = found_by(model, arrays)
    assert (semantics[~SEEN] == IGNORED).all()
    assert not any(one.masks[:, ~SEEN].any() for one in branches)
    (place, predicted), (other, learned) = (block_of(config, name) for name in ("adapt.predict", "adapt.omni"))
    block = Block(0, ())
    shown = learned_pictures(labelled((place, block, predicted), (other, block, learned), 0))["input"]["panorama"]
    assert (shown[~SEEN] == INVALID).all()
    assert (shown[SEEN] == arrays["pixels"][SEEN]).all()


def test_blank_boxes_are_no_background() -> None:
    settings = ProposalSettings(size=2, ratios=(1.0,), sampled=1000)
    anchors = [level_anchors(8, 8, 8, settings)]
    logits = torch.zeros(1, 64, requires_grad=True)
    said = [(logits, torch.zeros(1, 64, 4))]
    blank = torch.arange(64) < 32
    loss, _ = proposal_loss(said, anchors, [torch.zeros(0, 4)], None, settings, torch.Generator().manual_seed(0), [blank])
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[0] != 0).tolist() == [False] * 32 + [True] * 32
    nothing, _ = proposal_loss(said, anchors, [torch.zeros(0, 4)], None, settings, torch.Generator(), [blank | True])
    assert float(nothing) == 0


def test_a_crop_that_shows_nothing_teaches_nothing() -> None:
    network = model_of_files(source_files()).network
    assert isinstance(network, SeamlessNetwork)
    everywhere, nothing = np.ones((HEIGHT, WIDTH), bool), np.zeros((0, HEIGHT, WIDTH), bool)
    nobody = branch_target(nothing, np.zeros(0, np.int64), ~everywhere, THINGS.start, wrap=True, blank=everywhere)
    target = Target(torch.full((HEIGHT, WIDTH), IGNORED), nobody, nobody)
    terms = network.losses(torch.rand(1, 3, HEIGHT, WIDTH), [target], torch.Generator().manual_seed(0))
    assert {float(term) for term in terms.values()} == {0.0}
    torch.stack(list(terms.values())).sum().backward()
    assert not any(bool(one.grad.any()) for one in network.parameters() if one.grad is not None)


def test_classes_are_mixed_and_counted_only_where_something_was_photographed() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 4, 8, generator=generator)
    logits = torch.randn(2, 3, 4, 8, generator=generator, requires_grad=True)
    blank = torch.zeros(2, 4, 8, dtype=torch.bool)
    blank[0, 2:] = True
    said = torch.full((2, 3, 4, 8), 0.1)
    said[:, 0] = 0.8
    said[0, 0, 2:] = 0.1  # nothing is sure in the black
    assert sure_share(said, 0.7, blank).tolist() == [1, 1]
    assert sure_share(said, 0.7).tolist() == [0.5, 1]
    assert sure_share(said, 0.7, blank | True).tolist() == [0, 0]
    classes = said.argmax(1).masked_fill(blank, IGNORED)
    mixed = mix_classes(images, classes, sure_share(said, 0.7, blank), generator)
    weighted_cross_entropy(logits, mixed).backward()
    assert logits.grad is not None
    unlearned = (logits.grad == 0).all(dim=1)
    np.testing.assert_array_equal(unlearned.numpy(), (mixed.labels == IGNORED).numpy())
    black = (mixed.images == images[0]).all(dim=1)[1] & blank[0]
    assert not black.any(), "black is pasted nowhere"
