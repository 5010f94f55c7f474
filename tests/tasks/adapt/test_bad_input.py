"""Data sets with next to nothing in them, and truth that is damaged: defined behaviour, and nothing half done."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.pipeline import Config
from flows.plan import make_plan
from flows.running.nothing_made import NothingMade, refuse_nothing_made
from flows.stores.made import made_of
from flows.stores.stored import stored_plan
from models.seamless.network import SeamlessNetwork
from models.seamless.saved import SeamlessModel, model_of_files, save_model
from storage.arrays import BlockReader
from tasks.adapt.compare import figures
from tasks.adapt.shown import compare
from tasks.stage.tables import Words
from tests.support.discs import CLASSES, THINGS, block_of, make_owed, read, source_files, step_of, write_adaptation

ONE_STEP = {"steps": 1, "batch_size": 2, "crop": [64, 64], "learning_rate": 1e-4, "rates": {}}


def adaptation(folder: Path, panoramas: int, model: SeamlessModel) -> Config:
    path = write_adaptation(folder, panoramas, training=ONE_STEP)
    save_model(model, folder / "source_model")
    return read(path)


def test_one_object_in_one_panorama(tmp_path: Path) -> None:
    trained = model_of_files(source_files())
    settings = replace(trained.network.settings, branch=replace(trained.network.settings.branch, limit=1))
    network = SeamlessNetwork(settings)
    network.load_state_dict(trained.network.state_dict())
    config = adaptation(tmp_path, 1, SeamlessModel(network, trained.classes))
    assert set(make_owed(config).values()) == {1}
    thresholds = block_of(config, "adapt.thresholds")
    stored = BlockReader(thresholds[0], thresholds[1].files).item(0)
    assert stored["predictions"][1:].sum(axis=1).tolist() == [1, 1]
    omni = step_of(config, "adapt.omni").stage.settings
    for row, rule in ((1, omni.instances), (2, omni.amodals)):
        absent = [label for label in range(len(CLASSES)) if not stored["predictions"][row, label]]
        assert set(THINGS) & set(absent), "the other class of Things"
        assert (stored["thresholds"][row, absent] == rule.fixed).all()
        found = stored["predictions"][row].argmax()
        assert stored["thresholds"][row, found] <= rule.fixed
    figures_of = block_of(config, "adapt.omni")[1].items[0].figures
    assert all(figures_of[branch]["found"] == 1 and figures_of[branch]["kept"] <= 1 for branch in ("instances", "amodals"))
    assert block_of(config, "adapt")[1].items[0].figures["steps"] == 1
    assert set(figures([block_of(config, "compare")])) == {"source", "adapted"}


def test_no_thing_is_ever_found(tmp_path: Path) -> None:
    model = model_of_files(source_files())
    with torch.no_grad():
        for branch in (model.network.instances, model.network.amodals):
            branch.name.weight.zero_()
            branch.name.bias.copy_(torch.tensor([-20.0, -20, 20]))
        model.network.semantic.name.bias[list(THINGS)] = -1e3
    config = adaptation(tmp_path, 2, model)
    make_owed(config)
    predicted = block_of(config, "adapt.predict")
    assert not np.isin(BlockReader(predicted[0], predicted[1].files).item(0)["semantics"], THINGS).any()
    assert block_of(config, "adapt.pool")[1].items[0].figures["objects"] == {}
    found = figures([block_of(config, "compare")])
    assert (found["source"]["mAP"], found["source"]["mAAP"]) == (0.0, 0.0), "there are objects, and none was found"
    assert found["source"]["mIoU"] > 0
    assert set(block_of(config, "adapt.thresholds")[1].items[0].figures["semantic"]) == {"sky", "ground"}


@pytest.mark.parametrize("damage", ["counts", "size", "class", "smaller"])
def test_damaged_truth_leaves_its_panorama_out_of_the_comparison_and_says_so(tmp_path: Path, damage: str) -> None:
    config = adaptation(tmp_path, 2, model_of_files(source_files()))
    truth = tmp_path / "target" / "truth" / "p00_amodal.json"
    rows = json.loads(truth.read_text())
    if damage == "counts":
        rows[0]["mask"]["counts"][-1] += 7  # a mask that runs out of the image
    elif damage == "size":
        rows[0]["mask"]["size"] = [8, 8]
    elif damage == "smaller":
        rows[0]["mask"] = {"size": [8, 16], "counts": [0, 128]}  # sound, but of another picture
    else:
        rows[0]["class"] = 70_000
    truth.write_text(json.dumps(rows))
    make_owed(config)
    _, receipt = block_of(config, "compare")
    assert receipt.items[0].figures["panoramas"] == 1
    (row,) = receipt.given_up
    assert (row.item, "p00.npz: the truth cannot be read" in row.reason) == ("p00", True)


def test_a_comparison_with_no_truth_that_can_be_read_is_no_success(tmp_path: Path) -> None:
    config = adaptation(tmp_path, 2, model_of_files(source_files()))
    for name in ("p00", "p01"):
        (tmp_path / "target" / "truth" / f"{name}.npz").write_bytes(b"torn")
    make_owed(config)
    assert block_of(config, "compare")[1].items[0].figures["panoramas"] == 0
    with pytest.raises(NothingMade, match=r"stage compare: none of 2 items could be made; the first, p00: .*p00\.npz"):
        refuse_nothing_made(config, stored_plan(config), step_of(config, "compare"))


def test_a_comparison_without_the_truth_of_any_panorama_says_where_it_looked(tmp_path: Path) -> None:
    config = adaptation(tmp_path, 2, model_of_files(source_files()))
    truth = tmp_path / "target" / "truth"
    for name in ("p00", "p01"):
        (truth / f"{name}.npz").unlink()
    make_owed(config)
    (words,) = compare(made_of(config, make_plan(config), step_of(config, "compare")))
    assert isinstance(words, Words)
    assert f"at {truth.parent}: none of the panoramas has its truth there" in words.text
