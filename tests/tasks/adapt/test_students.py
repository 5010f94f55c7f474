"""A student of ``models/student`` adapts with its classes alone: the branches are empty, all other stages work as they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModel

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan, refuse_unfit
from flows.setup.needs import check_weights
from models.cubemap.configuration import tiny_config as faces_config
from models.cubemap.network import CubemapNetwork
from models.cubemap.saved import save_network
from models.student import StudentModel
from models.student.configuration import tiny_config
from storage.arrays import BlockReader
from tasks.adapt.adapt import MODEL
from tasks.adapt.compare import figures
from tasks.predict.folder import ABOUT, student_about
from tasks.predict.predict import predict
from tasks.seamless.model import BadModel, model_digest, read_model
from tests.support.commands import panolabel
from tests.support.discs import CLASSES, HEIGHT, block_of, make_owed, plan_of, read, scene, write_adaptation, write_panoramas


def write_student(folder: Path, *tasks: str) -> StudentModel:
    torch.manual_seed(0)
    student = StudentModel(tiny_config("segformer", CLASSES, main_tasks=tasks or ("semantics",), auxiliaries=False)).eval()
    student.save_pretrained(folder)
    return student


def config_of(path: Path, **overrides: Any) -> Config:
    return read(path, **overrides)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, StudentModel]:
    """A student that is adapted to three panoramas, and that student before."""
    folder = tmp_path_factory.mktemp("student")
    training = {"steps": 12, "batch_size": 2, "crop": [HEIGHT, 2 * HEIGHT], "learning_rate": 2e-3, "rates": {}}
    config = config_of(write_adaptation(folder, 3, model="student", training=training))
    student = write_student(folder / "student")
    (folder / "student" / ABOUT).write_text('{"depth_unit": "scale", "normals_frame": "world", "height": 512, "steps": 9}')
    assert make_owed(config) == {
        "adapt.predict": 2,
        "adapt.scores": 2,
        "adapt.thresholds": 1,
        "adapt.omni": 2,
        "adapt.pool": 1,
        "adapt": 1,
        "compare": 2,
    }
    return config, student


def test_predictions_are_the_students_and_its_branches_are_empty(adapted: tuple[Config, StudentModel]) -> None:
    config, student = adapted
    url, receipt = block_of(config, "adapt.predict")
    stored = BlockReader(url, receipt.files).item(0)
    said = predict(student, scene(0, light=0.8)[0], "cpu")["semantics"]
    np.testing.assert_array_equal(stored["semantics"], said.argmax(axis=-1))
    np.testing.assert_allclose(stored["confidence"] / 65535, said.max(axis=-1), atol=1e-4)
    assert receipt.items[0].figures == {"instances": 0, "amodals": 0}
    assert receipt.about["things"] == [0, 0]
    thresholds = block_of(config, "adapt.thresholds")[1].items[0].figures
    assert (thresholds["instances"], thresholds["amodals"]) == ({}, {})
    assert sum(own["predictions"] for own in thresholds["semantic"].values()) == 3 * HEIGHT * 2 * HEIGHT
    assert block_of(config, "adapt.pool")[1].items[0].figures["objects"] == {}


def test_the_adapted_student_learned_and_is_a_student_again(adapted: tuple[Config, StudentModel]) -> None:
    config, student = adapted
    url, receipt = block_of(config, "adapt")
    folder = Path(url, MODEL)
    again = AutoModel.from_pretrained(folder)
    assert isinstance(again, StudentModel)
    assert any(not torch.equal(one, other) for one, other in zip(again.parameters(), student.parameters()))
    # Not what was true of the source alone; without the unit, distances up to scale would be judged as metres.
    told = {
        "depth_unit": "scale",
        "normals_frame": "world",
        "height": HEIGHT,
        "adapted_from": model_digest(f"{config.folder}/student"),
    }
    assert student_about(folder) == told
    assert receipt.items[0].figures["model"] == model_digest(str(folder))
    assert len(read_model(str(folder), model_digest(str(folder))).classes) == len(CLASSES), "it can be a source model"
    url, omni = block_of(config, "adapt.omni")
    labels = BlockReader(url, omni.files).item(0)["semantics"]
    known = labels != 255
    assert known.any()
    before, after = (predict(one.eval(), scene(0, light=0.8)[0], "cpu")["semantics"] for one in (student, again))
    surprise = [-np.log(np.take_along_axis(said[known], labels[known, None].astype(int), 1)).mean() for said in (before, after)]
    assert surprise[1] < surprise[0], "it agrees more with what it was taught"


def test_figures_are_those_of_classes_and_stuff(adapted: tuple[Config, StudentModel]) -> None:
    found = figures([block_of(adapted[0], "compare", index) for index in range(2)])
    for arm in ("source", "adapted"):
        assert found[arm]["mIoU"] is not None
        assert found[arm]["mAP"] in (None, 0.0)
        assert found[arm]["mAAP"] in (None, 0.0)


def test_what_does_not_fit_is_told_before_anything_runs(tmp_path: Path) -> None:
    path = write_adaptation(tmp_path, 1, model="student")
    write_student(tmp_path / "student")
    plan_of(config_of(path))
    seen = {(check.name, check.state) for check in check_weights(config_of(path, adapt__training__crop=[64, 128]))}
    assert seen == {("weights of adapt.predict", "ok"), ("weights of adapt", "ok")}
    for overrides, message in (
        (
            {"adapt__training__crop": [64, 64]},
            "learns from whole panoramas with a multiple of 32 rows, not from crops of 64 x 64",
        ),
        ({"adapt__training__crop": [64, 128], "adapt__training__rates": {"pyramid": 10.0}}, "the network has no part 'pyramid'"),
    ):
        config = config_of(path, **overrides)
        with pytest.raises(ConfigError, match=message):
            refuse_unfit(make_plan(config))
        (told,) = (check for check in check_weights(config) if check.state != "ok")
        assert (told.state, message.split(",")[0] in told.seen) == ("failure", True)
    weights = tmp_path / "student" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(BadModel, match="this is no saved student"):
        refuse_unfit(make_plan(config_of(path)))
    write_student(tmp_path / "student", "depth")
    with pytest.raises(BadModel, match="no semantics, which alone are adapted"):
        refuse_unfit(make_plan(config_of(path)))


def write_training(folder: Path, **said: Any) -> Path:
    """A pipeline that labels, trains, and adapts what it trained."""
    write_panoramas(folder / "target", range(1))
    stages = {
        "ingest": {"source": {"url": "target/images"}},
        "project": {"patch_size": 32},
        "truth": {"stage": "label", "kind": "scenes", "fields": ["depth", "normals", "semantics"]},
        "fuse": {"height": 64},
        "train": {"steps": 1, **said},
        "target": {"stage": "ingest", "source": {"url": "target/images"}},
        "adapt": {"model": "train", "panoramas": "target"},
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump({"name": "pipeline", "root": "store", "stages": stages}, sort_keys=False))
    return path


def test_networks_without_classes_that_the_pipeline_trains_are_refused_at_plan(tmp_path: Path) -> None:
    warmup = {"warmup_steps": 0, "frozen_steps": 0}
    with pytest.raises(
        ConfigError, match=r"stages\.adapt\.model: 'train' trains a student without semantics.*add them to its `tasks`"
    ):
        plan_of(config_of(write_training(tmp_path, tasks=["depth"], size="tiny", **warmup)))
    path = write_training(tmp_path, kind="cubemap", size="tiny", warmup_steps=0)
    done = panolabel("plan", path)
    assert done.returncode == 2
    told = " ".join(done.stderr.split())
    assert "stages.adapt.model: 'train' trains a network of six faces, which says geometry and no classes" in told
    path.write_text(path.read_text().replace("model: train", "model: gone"))
    assert "'train'" not in panolabel("plan", path).stderr, "a model from elsewhere is another matter"


def test_a_folder_of_a_network_of_six_faces_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = write_adaptation(tmp_path, 1, model="faces")
    save_network(CubemapNetwork(faces_config()), tmp_path / "faces")
    with pytest.raises(BadModel, match="faces: holds a network of six faces, which says geometry and no classes"):
        refuse_unfit(make_plan(config_of(path)))
