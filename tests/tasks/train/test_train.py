"""Training as a stage: it is known by what it depends on, done once, goes on after a stop, and says where it comes from."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModel

from configs.settings import ConfigError
from storage.receipts import damage
from tasks.train.checkpoints import load_checkpoint
from tasks.train.progress import Diverged, Stopped
from tasks.train.student.settings import TrainingConfig, load_training
from tasks.train.train import Training, check_training, panoramas, read_data, train_student
from tests.support.label_store import CLASSES, write_label_store
from tests.tasks.train.test_loop import files_of_at_most

SMALL = {"bottlenecks": 1, "auxiliaries": False, "bridges": False}
TRAINING = {"steps": 4, "learning_rate": 1e-3, "frozen_steps": 1, "checkpoint_every": 2, "score_every": 2, "log_every": 1}


def settings(folder, **changes):
    model = {"size": "tiny", "settings": SMALL}
    return {
        "name": "small", "root": str(folder / "students"), "stores": [{"config": "labels.yaml", "licence": "CC-BY-4.0"}],
        "height": 16, "batch": 2, "model": model, "threads": 1, "training": {**TRAINING, "device": "cpu"}, **changes,
    }  # fmt: skip


def training(folder, store, **changes):
    return Training(TrainingConfig.model_validate(settings(folder, **changes)), [store])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_label_store(tmp_path_factory.mktemp("train") / "labels", count=8, splits=("train", "train", "train", "val"))


@pytest.fixture(scope="module")
def finished(store, tmp_path_factory):
    """A finished training, its receipt, and the steps that were logged."""
    one, steps = training(tmp_path_factory.mktemp("finished"), store), []
    return one, train_student(one, "run", lambda step, _: steps.append(step)), steps


def weights_of(one):
    return AutoModel.from_pretrained(f"{one.url}/model").state_dict()


def test_a_finished_training_has_a_sound_receipt_and_is_not_done_again(finished):
    one, receipt, steps = finished
    assert sorted(set(steps)) == [1, 2, 3, 4]
    assert damage(one.url, receipt) == []
    assert {"model/model.safetensors", "model/config.json", "model/README.md", "log.json"} <= receipt.files.keys()
    assert os.listdir(one.checkpoints) == []
    assert train_student(one, "again", lambda *_: pytest.fail("it trains")).made["run"] == "run"
    log = json.loads(Path(one.url, "log.json").read_text())
    assert receipt.about["figures"]["best_score"] == pytest.approx(
        min(row["score"] for row in log.values() if "score" in row), abs=1e-6
    )


def test_the_folder_is_that_of_transformers_and_its_card_names_what_it_comes_from(finished, store):
    one, receipt, _ = finished
    model = AutoModel.from_pretrained(f"{one.url}/model")
    assert tuple(model.config.id2label.values()) == CLASSES
    assert model(torch.rand(1, 3, 16, 32)).depth.shape == (1, 1, 16, 32)
    card = Path(one.url, "model", "README.md").read_text()
    for told in ("CC-BY-4.0", store.blocks[0][2].fingerprint, receipt.about["weights"], "labels | 8 | 1.0"):
        assert told in card
    about = json.loads(Path(one.url, "model", "panolabel.json").read_text())
    assert (about["height"], about["labels"][0]["panoramas"]) == (16, 8)


def test_what_can_change_the_student_changes_its_fingerprint_and_nothing_else_does(tmp_path, store):
    first = training(tmp_path, store)
    same = training(tmp_path, store, threads=3, training={**TRAINING, "device": "auto", "log_every": 9, "keep": 1})
    assert (same.identity.fingerprint, same.block) == (first.identity.fingerprint, first.block)
    changes = (
        {"training": {**TRAINING, "losses": {"dice": 0.5}}}, {"model": {"size": "tiny", "settings": {**SMALL, "mixer": "none"}}},
        {"supervision": "merged"}, {"supervision": "depth_view"}, {"augment": {"mirror": False}}, {"batch": 3},
    )  # fmt: skip
    found = {training(tmp_path, store, **change).identity.fingerprint for change in changes}
    found |= {Training(first.config, [replace(store, weight=2.0)]).identity.fingerprint, first.identity.fingerprint}
    assert len(found) == len(changes) + 2
    other = training(tmp_path, replace(store, blocks=store.blocks[:2]))
    assert (other.identity.fingerprint, other.block != first.block) == (first.identity.fingerprint, True)


def test_a_stopped_training_goes_on_to_the_same_student(tmp_path, store, finished):
    one = training(tmp_path, store)
    calls = iter([False, False, True])
    with pytest.raises(Stopped, match="step 3 of 4"):
        train_student(one, "run", stop=lambda: next(calls))
    assert one.receipt is None
    assert load_checkpoint(one.checkpoints)["progress"]["step"] == 3
    steps = []
    train_student(one, "run", lambda step, _: steps.append(step))
    assert set(steps) == {4}
    expected = weights_of(finished[0])
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(one).items())


def test_divergence_leaves_checkpoints_and_no_receipt(tmp_path, store):
    wild = {**TRAINING, "learning_rate": 1e30, "clip": 1e30, "checkpoint_every": 1, "steps": 20}
    one = training(tmp_path, store, training=wild, held_out=None)
    with pytest.raises(Diverged, match="the loss is no number any more"):
        train_student(one, "run")
    assert one.receipt is None
    assert not os.path.exists(f"{one.url}/model")


def test_a_full_disk_is_told_with_the_place(tmp_path, store):
    one = training(tmp_path, store)
    with files_of_at_most(10_000), pytest.raises(OSError, match=r"bytes free\); make room and run again"):
        train_student(one, "run")
    assert one.receipt is None
    assert train_student(one, "run").about["steps"] == 4


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"height": 24}, "height: 24 rows are not a multiple of this student's 16; write height: 32"),
        ({"model": {"size": "tiny", "settings": {"mixr": "none"}}}, "model.settings: unknown mixr"),
        ({"model": {"size": "tiny", "settings": {"mixer": "nothing"}}}, "model: .*mixer"),
        ({"split": "test"}, "no labelled panorama is in the split 'test'; there are: train, val"),
        ({"held_out": "test"}, "held_out: no labelled panorama .* held_out: null"),
        ({"batch": 9}, "6 panoramas of the split 'train' do not fill a batch of 9"),
    ],
)
def test_what_does_not_fit_is_told_before_training(tmp_path, store, change, told):
    one = training(tmp_path, store, **change)
    for begin in (check_training, lambda one: train_student(one, "run")):
        with pytest.raises(ValueError, match=told):
            begin(one)
    assert not os.path.exists(one.checkpoints)


def test_missing_tasks_are_named(tmp_path):
    store = write_label_store(tmp_path / "labels", fields=("depth",))
    with pytest.raises(ValueError, match="no store has labels of normals, only depth"):
        train_student(training(tmp_path, store, held_out=None), "run")


def test_confidences_of_zero_are_told_before_training_with_the_fix(tmp_path, store, monkeypatch):
    import tests.support.label_store as support

    real = support.labels_of
    monkeypatch.setattr(
        support, "labels_of", lambda image: {**real(image), "semantics_confidence": np.zeros(image.shape[:2], np.uint8)}
    )
    unjudged = write_label_store(tmp_path / "predicted", count=4)
    told = r"labels predicted: semantics_confidence is 0 in every valid pixel of the 4 panoramas .* write supervision: merged, or"
    for stores in ([unjudged], [store, unjudged]):
        one = replace(training(tmp_path, store, held_out=None), stores=stores)
        for begin in (check_training, lambda one: train_student(one, "run")):
            with pytest.raises(ValueError, match=told):
                begin(one)
    for change in ({"supervision": "merged"}, {"tasks": ("depth", "normals")}):
        assert check_training(training(tmp_path, unjudged, held_out=None, **change)) == 4


def test_depth_that_one_view_saw_teaches_as_merged_depth_does(tmp_path, monkeypatch):
    import tests.support.label_store as support

    real = support.labels_of
    monkeypatch.setattr(
        support, "labels_of", lambda image: {**real(image), "depth_consistency": np.zeros(image.shape[:2], np.uint8)}
    )
    unjudged = write_label_store(tmp_path / "labels", count=4)
    batches = {
        how: next(read_data(training(tmp_path, unjudged, held_out=None, supervision=how))[0].batches(0))
        for how in ("confidence", "merged")
    }
    weights = [batch.labels["depth"].weight() for batch in batches.values()]
    assert weights[0].sum() > 0
    np.testing.assert_array_equal(weights[0], weights[1])


def test_a_depth_max_that_cuts_more_than_the_far_end_is_refused(tmp_path, store):
    # Distances are uniform between 1 and 5: beyond 4.9 lie 2.5 % of them, beyond 4 a quarter.
    def limited(limit: float | None) -> Training:
        return training(tmp_path, store, training={"steps": 2, "losses": {"depth_max": limit}})

    assert training(tmp_path, store).config.training.losses.depth_max is None
    for limit in (None, 4.9, 10):
        assert check_training(limited(limit)) == 6
    told = r"labels labels: 2\d\.\d % of the distances of the 6 panoramas .*depth_max, which is 4, .* write (4\.\d+) or more"
    for begin in (check_training, lambda one: train_student(one, "run")):
        with pytest.raises(ValueError, match=told) as caught:
            begin(limited(4))
    assert check_training(limited(float(re.search(told, str(caught.value)).group(1)))) == 6
    depthless = training(tmp_path, store, tasks=("normals",), training={"steps": 2, "losses": {"depth_max": 1}})
    assert check_training(depthless) == 6


def test_distances_of_two_units_are_not_learnt_together(tmp_path, store):
    blocks = [
        (url, block, replace(receipt, about={**receipt.about, "depth_unit": "metre"})) for url, block, receipt in store.blocks
    ]
    both = replace(training(tmp_path, store), stores=[store, replace(store, blocks=blocks)])
    with pytest.raises(ValueError, match=r"distances have different units \(labels: none, labels: metre\)"):
        check_training(both)
    assert check_training(replace(both, config=both.config.model_copy(update={"tasks": ("normals", "semantics")}))) == 12


def test_labels_with_nan_stop_training_and_name_the_panorama(tmp_path, monkeypatch):
    import tests.support.label_store as support

    real = support.labels_of

    def broken(image):
        labels = real(image)
        labels["normals"] = np.full_like(labels["normals"], np.nan)
        return labels

    monkeypatch.setattr(support, "labels_of", broken)
    store = write_label_store(tmp_path / "labels", count=2)
    with pytest.raises(ValueError, match=r"panoramas p0\d, p0\d: normals labels of item 0 of the batch: .* NaN"):
        train_student(training(tmp_path, store, held_out=None), "run")


def test_training_stops_when_most_panoramas_are_gone(tmp_path):
    store = write_label_store(tmp_path / "labels", count=4)
    for name in ("p00", "p01", "p02"):
        (tmp_path / "labels" / "images" / f"{name}.png").unlink()
    with pytest.raises(ValueError, match=r"3 of 4 panoramas cannot be read; p0\d: .* the file is gone"):
        train_student(training(tmp_path, store, held_out=None), "run")


def test_held_out_panoramas_are_not_augmented_and_fill_a_batch(tmp_path, store):
    one = training(tmp_path, store, batch=4)
    data, held_out = read_data(one)
    assert panoramas([store], held_out.settings) == len(held_out) == held_out.settings.batch_size == 2
    assert data.settings.item.augmentation.roll
    assert not held_out.settings.item.augmentation.roll


def test_a_share_is_held_out_by_digest_whatever_else_the_store_holds(tmp_path, store):
    data, held_out = read_data(training(tmp_path, store, held_out=0.4, batch=1))
    names = [{place.item.item for place in part.places} for part in (data, held_out)]
    items = [item for _, block, _ in store.blocks for item in block.items if item.split == "train"]
    assert names[0] | names[1] == {item.item for item in items}
    assert names[1] == {item.item for item in items if int(item.digest, 16) < 0.4 * 2**256}
    assert 0 < len(names[1]) < len(items)
    fewer = replace(store, blocks=store.blocks[1:])
    _, again = read_data(training(tmp_path, fewer, held_out=0.4, batch=1))
    assert {place.item.item for place in again.places} == names[1] & {i.item for _, b, _ in fewer.blocks for i in b.items}
    assert not held_out.settings.item.augmentation.roll
    with pytest.raises(ValueError, match=r"held_out: no labelled panorama is in the split 'train' between 0 and 1e-06 of its"):
        read_data(training(tmp_path, store, held_out=1e-6))
    with pytest.raises(ValueError, match="held_out"):
        training(tmp_path, store, held_out=1.5)


def test_every_mistake_in_the_yaml_is_named(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(settings(tmp_path, agument={}, training={"steps": 0, "losses": {"dpeth": 1}})))
    with pytest.raises(ConfigError) as caught:
        load_training(path)
    for told in ("agument: unknown key; did you mean 'augment'?", "training.losses.dpeth: unknown key; did you mean 'depth'?"):
        assert told in str(caught.value)
    path.write_text(yaml.safe_dump(settings(tmp_path, training={"steps": 0})))
    with pytest.raises(ConfigError, match="training: steps must be at least 1, got 0"):
        load_training(path)


def test_depth_of_one_view_leaves_all_else_merged(tmp_path, store):
    item = training(tmp_path, store, supervision="depth_view").config.data_settings().item
    assert (item.one_view, item.confidence) == (("depth",), False)
    with pytest.raises(ValueError, match="depth_view teaches depth, which is not among the tasks"):
        training(tmp_path, store, supervision="depth_view", tasks=("normals",))
