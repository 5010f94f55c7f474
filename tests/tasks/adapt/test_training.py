"""Training goes on where it stopped, to the same bytes; the labels it sees are those of the store."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.pipeline import Config
from models.seamless.branch import BranchTarget
from models.seamless.network import Target
from models.seamless.saved import model_files, model_of_files
from storage.receipts import read_receipt
from tasks.adapt.adapt import adapt_block
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.learner import rate_groups
from tasks.adapt.training import adapt_model
from tasks.stage.attempts.stopping import ask_to_stop, go_on
from tasks.stage.job import Job
from tasks.train.progress import Stopped
from tests.support.discs import block_of, job_of, make_owed, read, source_files, write_adaptation


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Job]:
    """Pseudo-labels and a pool of four panoramas, and the job that trains on them."""
    config = read(write_adaptation(tmp_path_factory.mktemp("discs"), 4))
    make_owed(config, until="adapt")
    return config, job_of(config, "adapt")


def test_a_killed_training_ends_in_the_same_bytes_and_losses(labelled: tuple[Config, Job], tmp_path: Path) -> None:
    _, job = labelled
    settings, examples = job.settings, Examples(Panoramas(job), [], job.settings)

    def kill(step: int, _figures: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt_model(model_of_files(source_files()), examples, settings, str(tmp_path / "a"), 2, "cpu", kill)
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["log.json", "step-00000002.pt"]
    one, other = (
        adapt_model(model_of_files(source_files()), examples, settings, str(tmp_path / folder), 2, "cpu") for folder in "ab"
    )
    assert model_files(one[0]) == model_files(other[0])
    assert one[1] == other[1]
    assert [row["step"] for row in one[1]] == list(range(settings.steps))


def test_a_block_that_is_stopped_has_a_checkpoint_and_goes_on_to_the_same_files(tmp_path: Path) -> None:
    blocks = []
    for name in ("whole", "stopped"):
        config = read(write_adaptation(tmp_path / name, 2))
        make_owed(config, until="adapt")
        blocks.append((config, job_of(config, "adapt")))
    whole = adapt_block(blocks[0][1])
    config, job = blocks[1]
    asked = iter([False, False, True])
    with pytest.raises(Stopped, match="stopped after step 3 of 4"):
        adapt_block(job, lambda: next(asked))
    assert read_receipt(job.url) is None
    assert [file.name for file in Path(config.root, "checkpoints").rglob("*.pt")] == ["step-00000003.pt"]
    again = adapt_block(job)
    assert {name: facts["sha256"] for name, facts in again.files.items()} == {
        name: facts["sha256"] for name, facts in whole.files.items()
    }
    assert not [file for file in Path(config.root, "checkpoints").rglob("*") if file.is_file()]


def test_a_process_that_is_asked_to_stop_stops_its_adaptation(labelled: tuple[Config, Job]) -> None:
    ask_to_stop()
    try:
        with pytest.raises(Stopped, match="stopped after step 1 of 4"):
            adapt_block(labelled[1])
    finally:
        go_on()


@pytest.mark.slow
def test_two_processes_learn_from_other_panoramas_and_end_with_one_model(tmp_path: Path) -> None:
    config = read(write_adaptation(tmp_path, 4))
    make_owed(config, until="adapt")
    job = job_of(config, "adapt")
    examples = Examples(Panoramas(job), [], job.settings)
    firsts = [next(examples.batches(0, 1, rank, 2))[0] for rank in range(2)]
    for rank, images in enumerate(firsts):
        np.testing.assert_array_equal(images, examples.batch(2 + rank)[0])
    receipt = adapt_block(job)
    losses = json.loads(Path(job.url, "losses.json").read_text())
    assert [row["step"] for row in losses] == list(range(job.settings.steps))
    assert receipt.items[0].figures["steps"] == job.settings.steps


def test_examples_follow_from_seed_and_step_and_mixing_pastes(labelled: tuple[Config, Job]) -> None:
    config, job = labelled
    adapt_block(job)
    figures = block_of(config, "adapt")[1].items[0].figures
    assert figures["pool"] > 0
    assert not list(Path(config.root, "checkpoints").rglob("*.pt")), "they are dropped once the receipt is there"
    from tasks.adapt.pool import read_pool

    pool, panoramas = read_pool(*block_of(config, "adapt.pool")), Panoramas(job)
    one, same, plain = (Examples(panoramas, given, job.settings) for given in (pool, pool, []))
    changed = 0
    for step in range(4):
        images, targets = one.batch(step)
        again, _ = same.batch(step)
        bare, without = plain.batch(step)
        np.testing.assert_array_equal(images, again)
        for image, target, before, label in zip(images, targets, bare, without):
            pasted = (image != before).any(axis=2)
            changed += int(pasted.any())
            assert not (pasted & target.amodals.uncertain.numpy()).any(), "what was pasted is certain"
            assert np.isin(target.semantics.numpy()[pasted], panoramas.things).all()
            assert (target.semantics.numpy()[~pasted] == label.semantics.numpy()[~pasted]).mean() > 0.95
    assert changed


class Doubtful(Examples):
    """Examples without an object, where there may be one anywhere."""

    def batch(self, step: int) -> tuple[np.ndarray, list[Target]]:
        images, targets = super().batch(step)
        return images, [replace(one, instances=_doubt(one.instances), amodals=_doubt(one.amodals)) for one in targets]


def _doubt(one: BranchTarget) -> BranchTarget:
    return BranchTarget(one.boxes[:0], one.classes[:0], one.masks[:0], torch.ones_like(one.uncertain))


@pytest.mark.parametrize("ignore", [False, True])
def test_doubtful_boxes_teach_background_unless_they_are_ignored(
    labelled: tuple[Config, Job], tmp_path: Path, ignore: bool
) -> None:
    _, job = labelled
    settings = job.settings.model_copy(update={"steps": 1, "ignore_uncertain": ignore})
    source = model_of_files(source_files())
    adapted, how = adapt_model(source, Doubtful(Panoramas(job), [], settings), settings, str(tmp_path), 1, "cpu")
    taught = [how[0][f"{branch}.name"] for branch in ("instances", "amodals")]
    assert taught == [0, 0] if ignore else min(taught) > 0
    assert adapted.network.settings == source.network.settings


def test_an_epoch_shows_every_panorama_once(labelled: tuple[Config, Job]) -> None:
    _, job = labelled
    panoramas, seen = Panoramas(job), []

    class Noting(Panoramas):
        def read(self, place):  # type: ignore[no-untyped-def]
            seen.append(place)
            return panoramas.read(place)

    examples = Examples(Noting(job), [], job.settings)
    for step in range(4):
        examples.batch(step)
    assert len(set(seen[:4])) == len(set(seen[4:])) == 4
    assert seen[:4] != seen[4:]


def test_parts_of_the_network_learn_at_their_rates(labelled: tuple[Config, Job]) -> None:
    network = model_of_files(source_files()).network
    settings = labelled[1].settings.model_copy(update={"learning_rate": 2.0, "rates": {"semantic": 10.0, "proposals": 0.5}})
    rates = {id(one): group.rate for group in rate_groups(network, settings) for one in group.parameters}
    expected = {"semantic.name.weight": 20.0, "amodals.proposals.hidden.weight": 1.0, "amodals.name.weight": 2.0}
    named = dict(network.named_parameters())
    assert {name: rates[id(named[name])] for name in expected} == expected
    assert len(rates) == len(named)
    with pytest.raises(ValueError, match="no part 'neck'; it has amodals, encoder, instances, pyramid, semantic"):
        rate_groups(network, settings.model_copy(update={"rates": {"neck": 1.0}}))
