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
from storage.receipts import damage, read_receipt, write_receipt
from tasks.pipeline import load
from tasks.train.checkpoints import load_checkpoint
from tasks.train.labels.reading import panoramas
from tasks.train.labels.stores import label_stores
from tasks.train.progress import Diverged, Stopped
from tasks.train.train import read_data, refuse_misfit, train_block
from tests.support.label_store import CLASSES, write_label_store
from tests.support.trainings import SMALL, training
from tests.tasks.train.test_loop import files_of_at_most


def log_of(job):
    """Figures by step."""
    return {int(step): row for step, row in json.loads(Path(job.url, "log.json").read_text()).items()}


def receipt_at(job):
    return read_receipt(job.url)


def refused(job):
    """What the run says before any stage runs, and the stage before it learns anything."""

    def begin():
        refuse_misfit(job.stage, [])
        train_block(job)

    with pytest.raises(ValueError, match=r".") as caught:
        begin()
    assert not os.path.exists(job.checkpoints)
    return str(caught.value)


def data_of(job):
    """What it learns from, and what is held out."""
    return read_data(job.settings, label_stores(job))


def learnt_from(job):
    """Panoramas that are accepted."""
    return len(data_of(job)[0])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_label_store(tmp_path_factory.mktemp("train") / "labels", count=8, splits=("train", "train", "train", "val"))


@pytest.fixture(scope="module")
def finished(store, tmp_path_factory):
    """A finished training and its receipt."""
    one = training(tmp_path_factory.mktemp("finished"), store)
    return one, train_block(one)


def weights_of(one):
    return AutoModel.from_pretrained(f"{one.url}/model").state_dict()


def test_a_finished_training_has_a_sound_receipt(finished):
    one, receipt = finished
    assert sorted(log_of(one)) == [1, 2, 3, 4]
    assert damage(one.url, receipt) == []
    assert {"model/model.safetensors", "model/config.json", "model/README.md", "log.json"} <= receipt.files.keys()
    assert os.listdir(one.checkpoints) == []
    best = min(row["score"] for row in log_of(one).values() if "score" in row)
    assert receipt.about["figures"]["best_score"] == pytest.approx(best, abs=1e-6)


def test_the_folder_is_that_of_transformers_and_its_card_names_what_it_comes_from(finished, store):
    one, receipt = finished
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
    same = training(tmp_path, store, threads=3, log_every=9, keep=1, processes=1, licences={})
    assert (same.identity, same.block) == (first.identity, first.block)
    changes = (
        {"losses": {"dice": 0.5}}, {"settings": {**SMALL, "mixer": "none"}}, {"processes": 2},
        {"supervision": "merged"}, {"supervision": "depth_view"}, {"augment": {"mirror": False}}, {"batch": 3},
    )  # fmt: skip
    found = {training(tmp_path, store, **change).identity.fingerprint for change in changes}
    assert len(found | {first.identity.fingerprint}) == len(changes) + 1
    other = training(tmp_path, replace(store, blocks=store.blocks[:2]))
    assert (other.identity, other.block.name != first.block.name) == (first.identity, True)


def test_shares_of_label_sets_count_and_equal_ones_say_nothing(tmp_path, store):
    another = write_label_store(tmp_path / "another", count=4)
    plain, equal, more = (
        training(tmp_path, replace(store, weight=one), replace(another, weight=other)).identity.fingerprint
        for one, other in ((1.0, 1.0), (2.0, 2.0), (2.0, 1.0))
    )
    assert plain == equal != more
    stores = label_stores(training(tmp_path, replace(store, weight=2.0), another))
    assert [(one.stage.key, one.weight, len(one.blocks)) for one in stores] == [("labels", 2.0, 3), ("another", 1.0, 2)]


def test_a_stopped_training_goes_on_to_the_same_student(tmp_path, store, finished):
    one = training(tmp_path, store)
    calls = iter([False, False, True])
    with pytest.raises(Stopped, match="step 3 of 4"):
        train_block(one, lambda: next(calls))
    assert receipt_at(one) is None
    assert load_checkpoint(one.checkpoints)["progress"]["step"] == 3
    before = json.loads(Path(one.checkpoints, "log.json").read_text())
    train_block(one)
    assert {str(step): row for step, row in log_of(one).items() if step < 4} == before, "no step is done twice"
    expected = weights_of(finished[0])
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(one).items())


def test_divergence_leaves_checkpoints_and_no_receipt(tmp_path, store):
    one = training(tmp_path, store, learning_rate=1e30, clip=1e30, checkpoint_every=1, steps=20, held_out=None)
    with pytest.raises(Diverged, match="the loss is no number any more"):
        train_block(one)
    assert receipt_at(one) is None
    assert not os.path.exists(f"{one.url}/model")


def test_a_full_disk_leaves_no_receipt_and_the_next_attempt_has_one(tmp_path, store):
    one = training(tmp_path, store)
    with files_of_at_most(10_000), pytest.raises(OSError, match="File too large"):
        train_block(one)
    assert receipt_at(one) is None
    assert train_block(one).about["steps"] == 4


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"height": 24}, "height: 24 rows are not a multiple of this student's 16; write height: 32"),
        ({"settings": {"mixr": "none"}}, "stages.train.settings: unknown mixr"),
        ({"settings": {"mixer": "nothing"}}, "stages.train.settings: .*mixer"),
        ({"split": "test"}, "no labelled panorama is in the split 'test'; there are: train, val"),
        ({"held_out": "test"}, "held_out: no labelled panorama .* held_out: null"),
        ({"batch": 9}, "6 panoramas of the split 'train' do not fill a batch of 9"),
    ],
)
def test_what_does_not_fit_is_told_before_training(tmp_path, store, change, told):
    assert re.search(told, refused(training(tmp_path, store, **change)))


def test_missing_tasks_are_named(tmp_path):
    store = write_label_store(tmp_path / "labels", fields=("depth",))
    assert "no store has labels of normals, only depth" in refused(training(tmp_path, store, held_out=None))


def test_confidences_of_zero_are_told_before_training_with_the_fix(tmp_path, store, monkeypatch):
    import tests.support.label_store as support

    real = support.labels_of
    monkeypatch.setattr(
        support, "labels_of", lambda image: {**real(image), "semantics_confidence": np.zeros(image.shape[:2], np.uint8)}
    )
    unjudged = write_label_store(tmp_path / "predicted", count=4)
    told = r"labels predicted: semantics_confidence is 0 in every valid pixel of the 4 panoramas .* write supervision: merged, or"
    for stores in ([unjudged], [store, unjudged]):
        assert re.search(told, refused(training(tmp_path, *stores, held_out=None)))
    for change in ({"supervision": "merged"}, {"tasks": ("depth", "normals")}):
        assert learnt_from(training(tmp_path, unjudged, held_out=None, **change)) == 4


def test_depth_that_one_view_saw_teaches_as_merged_depth_does(tmp_path, monkeypatch):
    import tests.support.label_store as support

    real = support.labels_of
    monkeypatch.setattr(
        support, "labels_of", lambda image: {**real(image), "depth_consistency": np.zeros(image.shape[:2], np.uint8)}
    )
    unjudged = write_label_store(tmp_path / "labels", count=4)
    batches = {
        how: next(data_of(training(tmp_path, unjudged, held_out=None, supervision=how))[0].batches(0))
        for how in ("confidence", "merged")
    }
    weights = [batch.labels["depth"].weight() for batch in batches.values()]
    assert weights[0].sum() > 0
    np.testing.assert_array_equal(weights[0], weights[1])


def test_a_depth_max_that_cuts_more_than_the_far_end_is_refused(tmp_path, store):
    # Distances are uniform between 1 and 5: beyond 4.9 lie 2.5 % of them, beyond 4 a quarter.
    def limited(limit):
        return training(tmp_path, store, steps=2, losses={"depth_max": limit})

    assert training(tmp_path, store).settings.losses.depth_max is None
    for limit in (None, 4.9, 10):
        assert learnt_from(limited(limit)) == 6
    told = r"labels labels: 2\d\.\d % of the distances of the 6 panoramas .*depth_max, which is 4, .* write (4\.\d+) or more"
    found = re.search(told, refused(limited(4)))
    assert learnt_from(limited(float(found.group(1)))) == 6
    assert learnt_from(training(tmp_path, store, tasks=("normals",), steps=2, losses={"depth_max": 1})) == 6


def test_distances_of_two_units_are_not_learnt_together(tmp_path, store):
    metres = write_label_store(tmp_path / "metres", count=8)
    for url, _, receipt in metres.blocks:
        write_receipt(url, replace(receipt, about={**receipt.about, "depth_unit": "metre"}))
    told = refused(training(tmp_path, store, metres, split="train", held_out=None))
    assert "distances have different units (labels: none, metres: metre)" in told
    assert train_block(training(tmp_path, store, metres, tasks=("normals", "semantics"), held_out=None)).about["steps"] == 4


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
        train_block(training(tmp_path, store, held_out=None))


def test_training_stops_when_most_panoramas_are_gone(tmp_path):
    store = write_label_store(tmp_path / "labels", count=4)
    for name in ("p00", "p01", "p02"):
        (tmp_path / "labels" / "images" / f"{name}.png").unlink()
    with pytest.raises(ValueError, match=r"3 of 4 panoramas cannot be read; p0\d: .* the file is gone"):
        train_block(training(tmp_path, store, held_out=None))


def test_held_out_panoramas_are_not_augmented_and_fill_a_batch(tmp_path, store):
    one = training(tmp_path, store, batch=4)
    data, held_out = data_of(one)
    assert panoramas([store], held_out.settings) == len(held_out) == held_out.settings.batch_size == 2
    assert data.settings.item.augmentation.roll
    assert not held_out.settings.item.augmentation.roll


def test_a_share_is_held_out_by_digest_whatever_else_the_store_holds(tmp_path, store):
    data, held_out = data_of(training(tmp_path, store, held_out=0.4, batch=1))
    names = [{place.item.item for place in part.places} for part in (data, held_out)]
    items = [item for _, block, _ in store.blocks for item in block.items if item.split == "train"]
    assert names[0] | names[1] == {item.item for item in items}
    assert names[1] == {item.item for item in items if int(item.digest, 16) < 0.4 * 2**256}
    assert 0 < len(names[1]) < len(items)
    fewer = replace(store, blocks=store.blocks[1:])
    _, again = data_of(training(tmp_path, fewer, held_out=0.4, batch=1))
    assert {place.item.item for place in again.places} == names[1] & {i.item for _, b, _ in fewer.blocks for i in b.items}
    assert not held_out.settings.item.augmentation.roll
    with pytest.raises(ValueError, match=r"held_out: no labelled panorama is in the split 'train' between 0 and 1e-06 of its"):
        data_of(training(tmp_path, store, held_out=1e-6))
    with pytest.raises(ValueError, match="held_out"):
        training(tmp_path, store, held_out=1.5)


def test_every_mistake_in_the_yaml_is_named(tmp_path):
    path, stages = tmp_path / "train.yaml", {"ingest": {"source": {"url": "images"}}, "project": {}, "fuse": {}}
    stages["views"] = {"stage": "label", "kind": "scenes", "fields": ["depth"]}

    def told_of(**own):
        order = {key: stages[key] for key in ("ingest", "project", "views", "fuse")} | {"train": own}
        path.write_text(yaml.safe_dump({"name": "small", "root": "store", "stages": order}, sort_keys=False))
        with pytest.raises(ConfigError) as caught:
            load(path)
        return str(caught.value)

    told = told_of(agument={}, steps=4, losses={"dpeth": 1})
    for one in ("train.agument: unknown key; did you mean 'augment'?", "train.losses.dpeth: unknown key; did you mean 'depth'?"):
        assert f"stages.{one}" in told
    assert "stages.train.steps: Input should be greater than or equal to 1" in told_of(steps=0)
    assert "stages.train.warmup_steps must be at least 0 and fewer than the 4 steps, got 4" in told_of(steps=4, warmup_steps=4)


def test_depth_of_one_view_leaves_all_else_merged(tmp_path, store):
    item = training(tmp_path, store, supervision="depth_view").settings.data_settings().item
    assert (item.one_view, item.confidence) == (("depth",), False)
    with pytest.raises(ValueError, match="depth_view teaches depth, which is not among the tasks"):
        training(tmp_path, store, supervision="depth_view", tasks=("normals",))
