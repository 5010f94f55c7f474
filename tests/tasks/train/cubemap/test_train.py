"""The training of a network of six faces as a stage: done once, gone on with after a stop, and read by teacher and prediction."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from accelerate.utils import set_seed
from safetensors.torch import load_file

from configs.pipeline import Config
from configs.settings import ConfigError
from geometry.resampling.patches import extract_patches
from models.cubemap.checkpoint import load_network
from models.cubemap.configuration import face_cameras
from models.cubemap.saved import save_network
from models.teachers.panoramic.cubemap import load, wanted_views
from models.teachers.registry import weights_digest
from models.teachers.weights import digest_folder
from scenes.dataset import write_dataset
from storage.receipts import Receipt, damage
from tasks.stage.job import Job
from tasks.train.cubemap.make import make_network, scenes_of
from tasks.train.cubemap.train import refuse_misfit, train_block
from tasks.train.labels.data import LabelStore
from tasks.train.progress import Diverged, Stopped
from tests.support.discs import block_of, make_owed, read
from tests.support.label_store import write_label_store
from tests.support.trainings import face_training

Finished = tuple[Job, Receipt]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LabelStore:
    folder = tmp_path_factory.mktemp("train") / "labels"
    return write_label_store(folder, count=8, splits=("train", "train", "train", "val"))


@pytest.fixture(scope="module")
def finished(store: LabelStore, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    one = face_training(tmp_path_factory.mktemp("finished"), store)
    return one, train_block(one)


def test_a_finished_training_has_a_sound_receipt(finished: Finished) -> None:
    one, receipt = finished
    assert damage(one.url, receipt) == []
    assert {
        "model/model.safetensors",
        "model/config.json",
        "model/README.md",
        "log.json",
        "predictions.html",
    } <= receipt.files.keys()
    assert os.listdir(one.checkpoints) == []
    assert receipt.about["tasks"] == ["depth", "normals"], "those that the labels have"
    assert receipt.about["height"] == 32
    assert receipt.about["held_out"]["panoramas"] == 2
    assert {"depth", "normals", "total", "best_score"} <= receipt.about["figures"].keys()


def test_its_folder_is_a_teacher_and_its_digest_is_in_the_receipt(finished: Finished) -> None:
    one, receipt = finished
    folder = Path(one.url, "model")
    settings = {"model": str(folder)}
    assert weights_digest("cubemap", settings) == digest_folder(folder) == receipt.about["weights"]
    assert wanted_views(settings).words == "layout: {kind: cubemap, fov_degrees: 90}, patch_size: 16"
    teacher = load(settings, "cpu")
    cameras = face_cameras(load_network(folder).config)
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    said = teacher(extract_patches(image, cameras, antialias=False), cameras, {})
    assert {name: one.unit for name, one in said.items()} == {"depth": "shared", "normals": "unit"}
    card = (folder / "README.md").read_text()
    for told in ("network of six faces for depth, normals", "kind: cubemap", receipt.about["weights"], "labels | 8 | 1.0"):
        assert told in card


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, store: LabelStore, finished: Finished) -> None:
    one, calls = face_training(tmp_path, store), iter([False, False, True])
    with pytest.raises(Stopped, match="step 3 of 4"):
        train_block(one, lambda: next(calls))
    set_seed(77)  # what others draw has no part in it
    assert train_block(one).about["weights"] == finished[1].about["weights"]


def test_the_seed_alone_decides_the_weights(tmp_path: Path, store: LabelStore, finished: Finished) -> None:
    assert train_block(face_training(tmp_path, store, seed=1)).about["weights"] != finished[1].about["weights"]
    config = load_network(Path(finished[0].url, "model")).config
    first, second, other = (make_network(config, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_divergence_leaves_no_receipt(tmp_path: Path, store: LabelStore) -> None:
    one = face_training(tmp_path, store, learning_rate=1e30, clip=1e30, held_out=None)
    with pytest.raises(Diverged, match="the loss is no number any more"):
        train_block(one)
    assert not os.path.exists(f"{one.url}/model")


def test_a_head_whose_loss_weighs_nothing_stays_as_it_was(tmp_path: Path, store: LabelStore) -> None:
    one = face_training(tmp_path, store, losses={"normals": 0.0}, weight_decay=0.0)
    train_block(one)
    folder = f"{one.url}/model"
    before = make_network(load_network(Path(folder)).config, 0).state_dict()
    still = {name for name, value in load_file(f"{folder}/model.safetensors").items() if torch.equal(value, before[name])}
    heads = [name for name in before if ".heads.normals." in name]
    assert set(heads) <= still
    assert not any(name.startswith("model.head.heads.depth.projects") for name in still)


def test_what_can_change_the_network_changes_its_fingerprint_and_nothing_else_does(tmp_path: Path, store: LabelStore) -> None:
    first = face_training(tmp_path, store)
    assert face_training(tmp_path, store, threads=3, log_every=9, keep=1, licences={}).identity == first.identity
    changes: tuple[dict[str, Any], ...] = (
        {"losses": {"sky": 0.5}}, {"settings": {"face_size": 24}}, {"head_rate": 2.0}, {"scene": "indoor"}, {"size": "small"},
        {"supervision": "merged"}, {"tasks": ("depth",)}, {"augment": {"mirror": False}}, {"average": 0.5},
    )  # fmt: skip
    found = {face_training(tmp_path, store, **change).identity.fingerprint for change in changes}
    assert len(found | {first.identity.fingerprint}) == len(changes) + 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"settings": {"widht": 3}}, "stages.train.settings: unknown widht"),
        ({"settings": {"face_size": 20}}, "stages.train.settings: face_size: 20 pixels are not a multiple of the patch, 8"),
        ({"settings": {"heads": 3}}, "stages.train.settings: .*heads"),
        ({"tasks": ("depth", "sky")}, "no store has labels of sky"),
        ({"split": "test"}, "no labelled panorama is in the split 'test'; there are: train, val"),
        ({"held_out": "test"}, "held_out: no labelled panorama .* held_out: null"),
        ({"batch": 9}, "6 panoramas of the split 'train' do not fill a batch of 9"),
    ],
)
def test_what_does_not_fit_is_told_before_training(tmp_path: Path, store: LabelStore, change: dict[str, Any], told: str) -> None:
    one = face_training(tmp_path, store, **change)

    def begin() -> None:
        refuse_misfit(one.stage, [])
        train_block(one)

    with pytest.raises(ValueError, match=r".") as caught:
        begin()
    assert re.search(told, str(caught.value))
    assert not os.path.exists(one.checkpoints)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tasks": ("sky",)}, "tasks: sky reads depth's features; add depth"),
        ({"settings": {"modalities": ["depth"]}}, "settings: modalities follow from the labels and from `tasks`"),
        ({"warmup_steps": 4}, "fewer than the 4 steps"),
        ({"losses": {"sky": -1.0}}, "losses: sky must not be negative"),
    ],
)
def test_settings_that_contradict_are_refused_when_read(
    tmp_path: Path, store: LabelStore, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        face_training(tmp_path, store, **change)


def test_only_scenes_that_occur_get_a_scale_head(tmp_path: Path, store: LabelStore) -> None:
    settings = face_training(tmp_path, store).settings
    both = ("depth", "sky")

    def with_sky(*shares: float) -> list[LabelStore]:
        url, block, receipt = store.blocks[0]
        items = [replace(receipt.items[0], figures={"sky": share}) for share in shares]
        return [replace(store, blocks=[(url, block, replace(receipt, items=items))])]

    assert scenes_of(settings, both, "metre", with_sky(0.0, 0.04)) == ("indoor",)
    assert scenes_of(settings, both, "metre", with_sky(0.3)) == ("outdoor",)
    assert scenes_of(settings, both, "metre", with_sky(0.3, 0.0)) == ("indoor", "outdoor")
    assert scenes_of(settings, both, "scale", with_sky(0.3, 0.0)) == (), "labels without a scale teach none"
    told = settings.model_copy(update={"scene": "outdoor"})
    assert scenes_of(told, ("depth",), "metre", [store]) == ("outdoor",)
    with pytest.raises(ConfigError, match="nothing tells which scale head learns them; write scene: indoor"):
        scenes_of(settings, ("depth",), "metre", [store])


def write_rooms(folder: Path, kind: str, count: int, **training: Any) -> Config:
    """Procedural panoramas, labels that are their truth seen through views, a network of these, and what it says of them."""
    write_dataset(folder, kind, count, 700, 64, 128, supersample=1, amodal=False, processes=1)
    stages = {
        "ingest": {"source": {"url": "images", "truth": "."}, "block_size": 4},
        "project": {"layout": {"kind": "cubemap", "fov_degrees": 96}, "patch_size": 32},
        "truth": {"stage": "label", "kind": "scenes", "fields": ["depth", "normals", "semantics"]},
        "fuse": {"height": 64},
        "train": {"kind": "cubemap", "size": "tiny", "held_out": None, "log_every": 1, **training},
        "predict": {"model": "train", "panoramas": "ingest"},
        "score": {"stage": "evaluate", "labels": "predict"},
    }
    execution = {"pictures": 0, "device": "cpu"}
    path = folder / "rooms.yaml"
    path.write_text(yaml.safe_dump({"name": "rooms", "root": "store", "stages": stages, "execution": execution}, sort_keys=False))
    return read(path)


def test_a_pipeline_labels_trains_predicts_and_evaluates(tmp_path: Path) -> None:
    config = write_rooms(tmp_path, "mixed", 2, steps=2)
    stages = ("project", "truth", "fuse", "train", "predict", "score")
    assert make_owed(config) == dict.fromkeys(stages, 1)
    assert make_owed(config) == {}, "nothing is done twice"
    url, trained = block_of(config, "train")
    assert trained.about["tasks"] == ["depth", "normals", "sky"]
    assert trained.about["scenes"] == ["indoor", "outdoor"]
    _, predicted = block_of(config, "predict")
    assert predicted.about["depth_unit"] == "metre"
    assert predicted.about["student"] == trained.about["weights"] == digest_folder(Path(url, "model"))
    assert {"log_scale", "scale_spread", "sky_share", "depth_valid", "normals_valid"} <= predicted.items[0].figures.keys()
    _, scored = block_of(config, "score")
    assert [row.state for row in scored.items] == ["done", "done"]


@pytest.mark.slow
def test_training_lowers_the_error_on_rooms_that_it_never_saw(tmp_path: Path) -> None:
    """Against the truth, and against the same network before its first step; by the pipeline's own stages."""
    config = write_rooms(
        tmp_path, "room", 8, steps=60, learning_rate=4e-3, average=0.8, batch=4, tasks=["depth", "normals"], scene="indoor"
    )
    write_dataset(tmp_path / "unseen", "room", 4, 900, 64, 128, supersample=1, amodal=False, processes=1)
    values = yaml.safe_load((tmp_path / "rooms.yaml").read_text())
    values["stages"] |= {
        "ingest_unseen": {"stage": "ingest", "source": {"url": "unseen/images", "truth": "unseen"}},
        "after": {"stage": "predict", "model": "train"},
        "after_score": {"stage": "evaluate", "labels": "after"},
        "before": {"stage": "predict", "model": "./untrained", "height": 64},
        "before_score": {"stage": "evaluate", "labels": "before"},
    }
    (tmp_path / "rooms.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    make_owed(config)
    network = load_network(Path(block_of(config, "train")[0], "model"))
    save_network(make_network(network.config, 0), tmp_path / "untrained")
    config = read(tmp_path / "rooms.yaml")
    make_owed(config)
    before, after = (judged(config, key) for key in ("before_score", "after_score"))
    assert after["depth"] < 0.8 * before["depth"]
    assert after["normals"] < 0.8 * before["normals"]


def judged(config: Config, key: str) -> dict[str, float]:
    """Means over the panoramas: relative error of metres, and degrees between normals."""
    rows = [row.figures for row in block_of(config, key)[1].items]
    assert all(row["coverage"]["depth"] > 0.95 for row in rows)
    means = {"depth": "abs_rel", "normals": "mean"}
    return {name: float(np.mean([row[name][figure] for row in rows])) for name, figure in means.items()}


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path, store: LabelStore) -> None:
    one = face_training(tmp_path, store, batch=1, processes=2)
    receipt = train_block(one)
    assert (receipt.about["processes"], receipt.about["steps"]) == (2, 4)
    assert damage(one.url, receipt) == []
