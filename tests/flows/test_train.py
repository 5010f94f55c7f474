"""`panolabel train` and `panolabel predict` as a user meets them: real labels, real processes."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trimesh
import yaml
from transformers import AutoModel

from flows.cli import main
from flows.errors import RunFailed
from flows.ledger.query import ask
from flows.stores.finished import finished_labels
from flows.stores.garbage import find_garbage
from geometry.surfaces.incidence import torn
from storage.receipts import read_receipt
from storage.records.runs import latest_run
from tasks.label.fuse import decode_labels
from tests.support.commands import in_process
from tests.support.pipelines import load, run_pipeline, write_panoramas, write_pipeline

SMALL = {"bottlenecks": 1, "bridges": False}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, prefect_api: str) -> Callable[..., tuple[int, str, str]]:
    """The command line on the tests' server."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    return partial(in_process, monkeypatch, capsys)


OWN = {
    "held_out": None, "height": 32, "batch": 2, "size": "tiny", "settings": SMALL, "steps": 4, "learning_rate": 1e-3,
    "frozen_steps": 0, "checkpoint_every": 1, "score_every": 2, "log_every": 1,
}  # fmt: skip


def write_training(labels: Path, name: str = "student", root: Path | None = None, **changes: object) -> Path:
    """A file with the stages of another one and a training of their labels, in the same store unless another is named."""
    data = yaml.safe_load(labels.read_text())
    data |= {"name": name, "root": str(root) if root else data["root"]}
    data["stages"]["train"] = {**OWN, **changes}
    data["execution"]["device"] = "cpu"
    path = labels.parent / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """A pipeline of four panoramas, after its run."""
    path = write_pipeline(tmp_path_factory.mktemp("labels"), 4)
    run_pipeline(load(path))
    return path


@pytest.fixture(scope="module")
def student(labels: Path, prefect_api: str) -> tuple[Path, dict]:
    """The file of labels and their training, and the record of its run."""
    path = write_training(labels)
    return path, run_pipeline(load(path))


def trained(record: dict) -> dict:
    """What a record says of the training."""
    return record["found"]["train"]


def block_of(record: dict) -> Path:
    """Where the student's block lies."""
    return Path(trained(record)["model"]).parent


def test_a_training_leaves_its_record_and_is_not_done_again(student: tuple[Path, dict], run: Callable, monkeypatch) -> None:
    path, record = student
    assert (record["state"], trained(record)["steps"]) == ("completed", 4)
    assert {row["stage"]: row["ran"] for row in record["stages"] if row["ran"]} == {"train": 1}, "the labels were there"
    assert read_receipt(str(block_of(record))).made["run"] == record["run"]
    assert (path.parent / "store" / "runs" / f"{record['run']}.json").exists()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")  # nothing to do needs no server
    code, out, errors = run("run", path)
    assert code == 0, errors
    assert "Nothing to run" in out
    assert run("plan", path, "--check")[0] == 0


def test_a_plan_says_what_would_be_trained_and_why(student: tuple[Path, dict], run: Callable) -> None:
    for changed, told in (
        ("train.supervision=merged", {"train": ["train.supervision: confidence -> merged"]}),
        ("fuse.edge_feather=0.5", {"fuse": None, "evaluate": None, "train": None}),
    ):
        code, out, errors = run("plan", student[0], "--check", "--json", "--set", changed)
        assert code == 1, errors
        rows = {row["stage"]: row["reasons"] for row in json.loads(out)["stages"] if row["to_run"]}
        assert list(rows) == list(told)
        assert all(why is None or rows[stage] == why for stage, why in told.items())
    assert rows["train"][0].startswith("upstream fuse: ")


def test_verify_finds_a_flipped_byte_and_the_next_run_trains_again(student: tuple[Path, dict], run: Callable) -> None:
    path, record = student
    assert run("verify", path)[0] == 0
    weights = Path(trained(record)["model"], "model.safetensors")
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    code, out, errors = run("verify", path)
    assert (code, "model/model.safetensors: bytes differ from the receipt" in out + errors) == (1, True)
    assert {row["stage"]: row["ran"] for row in run_pipeline(load(path))["stages"] if row["ran"]} == {"train": 1}
    assert weights.read_bytes() == sound
    assert run("verify", path)[0] == 0


def test_status_gc_and_trace_know_a_training_like_any_stage(student: tuple[Path, dict], run: Callable) -> None:
    path, _ = student
    state = json.loads(run("status", path, "--json")[1])
    assert {row["stage"]: (row["done"], row["blocks"]) for row in state["stages"]}["train"] == (1, 1)
    assert find_garbage(load(path), older_than_hours=0) == []
    steps = {step["key"]: step for step in json.loads(run("trace", path, "p00", "--json")[1])["steps"]}
    assert steps["train"]["state"] == "done"
    assert steps["train"]["upstream"] == {"fuse": steps["fuse"]["fingerprint"]}


def test_the_audit_tables_know_students_of_labels_and_labels_of_students(student, predicted, labels: Path) -> None:
    path, record = student
    fuse = finished_labels(load(labels)).stage.identity.fingerprint
    rows = ask(str(path.parent / "store"), "students-of-labels", {"labels": fuse[:10]}).rows
    receipt = read_receipt(str(block_of(record)))
    assert [(row[0], row[1], row[-1]) for row in rows] == [(receipt.fingerprint, receipt.block, fuse)]
    rows = ask(str(predicted[1]), "labels-of-weights", {"weights": trained(record)["weights"][:16]}).rows
    assert [row[0] for row in rows] == ["a", "b"]


def test_students_learn_from_predictions_which_no_two_views_judged(predicted, tmp_path: Path, run: Callable) -> None:
    own = [word for key, value in OWN.items() for word in ("--set", f"train.{key}={json.dumps(value)}")]
    command = ["train", predicted[1] / "predictions.yaml", "--root", tmp_path]
    code, out, errors = run(*command, *own, "--set", "execution.device=cpu", "--json")
    assert code == 0, errors
    assert (tmp_path / "student.yaml").exists()
    figures = trained(json.loads(out))["figures"]
    assert figures["depth"] > 0
    assert figures["normals"] > 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("train.heigth=32", "stages.train.heigth: unknown key; did you mean 'height'?"),
        ("train.height=40", "stages.train.height: 40 rows are not a multiple"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(student: tuple[Path, dict], run: Callable, changes: str, told: str) -> None:
    code, _, errors = run("run", student[0], "--set", changes)
    assert code in (1, 2)
    assert told in errors


def test_labels_that_are_owed_refuse_training(labels: Path, tmp_path: Path, run: Callable) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(labels.read_text().replace("height: 32", "height: 48"))
    code, _, errors = run("train", changed, "--root", tmp_path / "students", "--steps", 4)
    assert code != 0
    assert "blocks that stages of other pipelines owe: labels 2; make them with `panolabel run " in errors


def test_divergence_ends_with_1_and_the_way_on(labels: Path, tmp_path: Path, run: Callable) -> None:
    path = write_training(labels, "wild", learning_rate=1e30, clip=1e30, steps=20)
    code, _, errors = run("run", path)
    assert code == 1, errors
    assert "the loss is no number any more" in errors
    assert str(labels.parent / "store" / "checkpoints") in errors, "it names the checkpoints from before"
    assert "panolabel run" in errors, "the way on"
    with pytest.raises(RunFailed, match="stage train: 1 of 1 blocks could not be made"):
        run_pipeline(load(path))
    assert latest_run(str(labels.parent / "store"), "wild")["state"] == "failed"


@pytest.fixture(scope="module")
def predicted(student: tuple[Path, dict], tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> tuple[Path, Path]:
    """Folder of three panoramas, one of them broken, and the store of their predictions."""
    folder = tmp_path_factory.mktemp("predicted")
    write_panoramas(folder / "images", ["a", "b"], height=40)
    (folder / "images" / "c.png").write_bytes(b"no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", predict_command(trained(student[1])["model"], folder))
        patch.setenv("PREFECT_API_URL", prefect_api)
        with pytest.raises(SystemExit, match="0"):
            main()
    return folder, folder / "store"


def predict_command(model: str, folder: Path) -> list[str]:
    return ["panolabel", "predict", model, "--source", str(folder / "images"), "--root", str(folder / "store"), "--json"]


def test_predictions_are_what_the_student_says_in_the_form_of_fused_labels(student: tuple[Path, dict], predicted) -> None:
    finished = finished_labels(load(predicted[1] / "predictions.yaml"))
    rows = [(item.item, row.state) for item, row in finished.rows()]
    assert rows == [("a", "done"), ("b", "done")]
    model = AutoModel.from_pretrained(trained(student[1])["model"])
    (_, block, receipt), *_ = finished.blocks
    assert all(0 < row.figures["depth_normal_agreement"] <= 1 for row in receipt.items if row.state == "done")
    for item, arrays in zip(block.items, finished.arrays(), strict=True):
        image = cv2.resize(cv2.imread(item.uri)[..., ::-1], (64, 32), interpolation=cv2.INTER_AREA)
        with torch.no_grad():
            said = model(torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255)
        labels = decode_labels(arrays)
        np.testing.assert_allclose(labels["depth"], said.depth[0, 0], rtol=1e-3)
        assert np.einsum("ijc,cij->ij", labels["normals"], said.normals[0]).min() > np.cos(np.radians(0.6))
        np.testing.assert_array_equal(labels["semantics"], said.semantics[0].argmax(0))
        probability = said.semantics[0].softmax(0).max(0).values
        np.testing.assert_allclose(labels["semantics_confidence"] / 255, probability, atol=0.003)
        assert labels["depth_valid"].all()


def test_predictions_are_made_once_and_have_report_lineage_and_quarantine(student, predicted, run: Callable) -> None:
    folder, store = predicted
    assert len(list((store / "reports").glob("*.html"))) == 1
    code, out, errors = run(*predict_command(trained(student[1])["model"], folder)[1:])
    assert (code, json.loads(out)["state"]) == (0, "nothing to run"), errors
    lineage = json.loads(run("trace", store / "predictions.yaml", "a", "--json")[1])
    assert next(step for step in lineage["steps"] if step["key"] == "predict")["weights"] == {
        "student": trained(student[1])["weights"]
    }
    state = json.loads(run("status", store / "predictions.yaml", "--json")[1])
    assert [row["item"] for row in state["quarantined"]] == ["c"]
    assert run("verify", store / "predictions.yaml")[0] == 0


def test_predictions_become_point_clouds(predicted, tmp_path: Path, run: Callable) -> None:
    code, out, errors = run("points", predicted[1] / "predictions.yaml", tmp_path, "--item", "b", "--to", "glb", "--json")
    assert code == 0, errors
    file = {"item": "b", "file": str(tmp_path / "b.glb"), "points": 32 * 64, "coloured": True}
    assert json.loads(out) == {"files": [file], "skipped": {}}
    assert run("points", predicted[1] / "predictions.yaml", tmp_path)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ply", "b.glb", "b.ply"]
    code, _, errors = run("points", predicted[1] / "predictions.yaml", tmp_path, "--item", "bb")
    assert (code, "did you mean 'b'?" in errors) == (2, True)


def test_predict_writes_point_clouds_too_if_asked(student, predicted, run: Callable) -> None:
    command = predict_command(trained(student[1])["model"], predicted[0])[1:-1]
    code, _, errors = run(*command, "--points", "obj")
    assert (code, "obj: points, surfaces and projects are written as ply, glb" in errors) == (2, True)
    code, out, errors = run(*command, "--points", "ply")
    assert code == 0, errors
    assert "2 files in" in out
    cloud = trimesh.load(predicted[1] / "points" / "a.ply")
    labels = decode_labels(next(finished_labels(load(predicted[1] / "predictions.yaml")).arrays()))
    depth = labels["depth"][~torn(labels["depth"], labels["depth_valid"])]
    np.testing.assert_allclose(np.linalg.norm(cloud.vertices, axis=1), depth, rtol=1e-5)


def test_a_folder_without_a_student_is_refused(tmp_path: Path, predicted, run: Callable) -> None:
    code, _, errors = run(*predict_command(str(tmp_path), predicted[0])[1:])
    assert code == 2
    assert "holds no student; give the folder `model`" in errors


def test_rows_that_the_student_cannot_take_are_told(student, predicted, run: Callable) -> None:
    command = predict_command(trained(student[1])["model"], predicted[0])[1:]
    code, out, errors = run(*command, "--height", "40", "--name", "wrong")
    assert (code, out) == (1, "")
    assert "height: 40 rows are not a multiple of this student's 16" in errors


def test_the_short_command_trains_a_network_of_six_faces_too(labels: Path, tmp_path: Path, run: Callable) -> None:
    own = ("size=tiny", "settings={face_size: 16}", "held_out=null", "warmup_steps=0", "scene=indoor")
    command = ["train", labels, "--root", tmp_path / "faces", "--kind", "cubemap", "--steps", "1", "--json"]
    command += [word for one in own for word in ("--set", f"train.{one}")] + ["--set", "execution.device=cpu"]
    code, out, errors = run(*command)
    assert code == 0, errors
    folder = Path(json.loads(out)["found"]["train"]["model"])
    assert json.loads((folder / "config.json").read_text())["model_type"] == "panolabel_cubemap"
    assert yaml.safe_load((tmp_path / "faces" / "cubemap.yaml").read_text())["stages"]["train"]["kind"] == "cubemap"
    code, _, errors = run(*command, "--set", "train.kind=cubemapp")
    assert (code, "'student', 'cubemap' or 'seamless'" in errors) == (2, True)
