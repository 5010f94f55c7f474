"""Stages of other pipelines: their labels and models are read from where they are, and nothing of them is made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.cli import app
from flows.plan import Plan, make_plan
from flows.stores.lineage import trace_all
from storage.receipts import read_receipt
from tasks.pipeline import validated
from tests.support.pipelines import keep, load, restore, run_pipeline, write_panoramas, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")
TRAIN = {"size": "tiny", "settings": {"bottlenecks": 1, "bridges": False}, "held_out": None, "height": 32, "batch": 2, "steps": 2}
STEPS = {"frozen_steps": 0, "log_every": 1}


def write_reader(other: Path, name: str = "reader", **said: Any) -> Path:
    """A pipeline with panoramas of its own, and figures of the labels of another one, whose source has the same key."""
    folder = other.parent.parent / name
    write_panoramas(folder / "images", ["z00"])
    stages = {
        "ingest": {"source": {"url": "images"}},
        "indoor": {"stage": "from", "config": f"../{other.parent.name}/{other.name}", "of": "fuse", **said},
        "score": {"stage": "evaluate", "labels": "indoor"},
    }
    return write_file(folder / f"{name}.yaml", stages)


def write_file(path: Path, stages: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    execution = {"device": "cpu", "runner": {"workers": 2}}
    data = {"name": path.stem, "root": "store", "stages": stages, "execution": execution}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def to_run(plan: Plan) -> dict[str, int]:
    return {row.stage: row.to_run for row in plan.stages if row.to_run}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """A pipeline of labels in three blocks, and of a student of them, which has run."""
    path = write_pipeline(tmp_path_factory.mktemp("from") / "other")
    data = yaml.safe_load(path.read_text())
    data["stages"]["train"] = {**TRAIN, **STEPS}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    run_pipeline(load(path, execution__device="cpu"))
    keep(path)
    return path


@pytest.fixture
def other(made: Path) -> Path:
    return restore(made)


def test_what_is_not_there_is_told_and_refused(tmp_path: Path) -> None:
    other = write_pipeline(tmp_path / "other", 3)
    (source,) = make_plan(load(other)).sources
    path = write_reader(other)
    assert make_plan(load(path)).missing == {"indoor": ()}, "a source that nobody has read has no blocks"
    with pytest.raises(ConfigError, match=rf"owe: indoor all; make them with `panolabel run {other}`$"):
        run_pipeline(load(path))
    run_pipeline(load(other, fuse__edge_feather=0.4))
    assert source.key == "ingest"
    plan = make_plan(load(path))
    assert [len(blocks) for blocks in plan.missing.values()] == [2]
    told = next(row for row in plan.stages if row.stage == "indoor")
    assert (told.cached, told.to_run, told.reasons) == (0, 0, ("of another pipeline, which owes 2 of 2 blocks",))
    for said in ({}, {"incomplete": True}):
        with pytest.raises(ConfigError, match=rf"of other pipelines owe: indoor 2; make them with `panolabel run {other}`$"):
            run_pipeline(load(write_reader(other, **said)))


def test_labels_are_read_where_they_are(other: Path) -> None:
    path = write_reader(other)
    before = {file: file.read_bytes() for file in other.parent.rglob("*") if file.is_file()}
    plan = make_plan(load(path))
    fused = make_plan(load(other)).step("fuse")
    assert plan.step("score").blocks == plan.step("indoor").blocks == fused.blocks, "not those of its own source of that key"
    assert plan.step("indoor").stage.identity == fused.stage.identity
    record = run_pipeline(load(path))
    assert record["found"]["score"]["items"] == 5
    assert not make_plan(load(path)).anything_to_run
    assert {file: file.read_bytes() for file in other.parent.rglob("*") if file.is_file()} == before
    assert not (path.parent / "store" / "stages" / "fuse").exists()
    assert [(step["key"], step["state"]) for step in trace_all(load(path))["steps"]] == [("indoor", "done"), ("score", "done")]


def test_workers_need_no_file(other: Path) -> None:
    config = load(write_reader(other))
    identities = [step.stage.identity for step in make_plan(config).steps]
    sent = json.loads(json.dumps(config.model_dump(mode="json"), sort_keys=True))
    other.unlink()
    assert [step.stage.identity for step in make_plan(validated(sent)).steps] == identities


def test_what_is_there_is_taken_if_asked(other: Path) -> None:
    receipt = sorted((other.parent / "store/stages/fuse").rglob("receipt.json"))[1]
    receipt.unlink()
    with pytest.raises(
        ConfigError, match=r"indoor 1; make them with `panolabel run .*`, or write `incomplete: true` in the stage"
    ):
        run_pipeline(load(write_reader(other)))
    config = load(write_reader(other, "partly", incomplete=True))
    assert make_plan(config).missing == {}
    record = run_pipeline(config)
    assert {row["stage"]: row["ran"] for row in record["stages"]}["score"] == 2
    assert not make_plan(config).anything_to_run
    run_pipeline(load(other))
    assert to_run(make_plan(config)) == {"score": 1}, "what has come since is taken too"


def test_changes_of_the_other_file_are_seen_at_the_next_load(other: Path) -> None:
    path = write_reader(other)
    data = yaml.safe_load(other.read_text())
    data["stages"]["fuse"]["height"] = 40
    other.write_text(yaml.safe_dump(data, sort_keys=False))
    assert len(make_plan(load(path)).missing["indoor"]) == 3
    assert make_plan(load(write_reader(other, set={"fuse.height": 32}))).missing == {}
    said = {"fuse.height": 32, "ingest.source.url": "../other/images", "root": "../other/store"}
    assert make_plan(load(write_reader(other, set=said))).missing == {}, "as this file sees them"


def test_circles_are_told_file_by_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "first.yaml", tmp_path / "b" / "second.yaml"
    write_file(first, {"one": {"stage": "from", "config": "../b/second.yaml", "of": "two"}})
    write_file(second, {"two": {"stage": "from", "config": "../a/first.yaml", "of": "one"}})
    with pytest.raises(ConfigError, match=rf"stages\.two\.config: .* in a circle: {first} -> {second} -> {first}; take one"):
        load(first)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"of": "fused"}, r"stages\.indoor\.of: .* has no stage 'fused'; did you mean 'fuse'\?"),
        ({"of": None}, r"stages\.indoor"),
        ({"at": 1}, r"stages\.indoor: takes config and of, and may take incomplete, latest and set, not at"),
        ({"set": "fuse.height=1"}, r"stages\.indoor\.set: must be a mapping of dotted keys to values"),
        ({"incomplete": "yes"}, r"stages\.indoor\.incomplete: must be true or false"),
        ({"latest": True}, r"stages\.indoor\.latest: is for models; fuse gives labels; take it out"),
    ],
)
def test_mistakes_name_the_key(tmp_path: Path, said: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(write_reader(write_pipeline(tmp_path / "other", 1), **said))


def predicting(other: Path, name: str, **said: Any) -> Path:
    """Predictions, for other panoramas, of the other pipeline's student."""
    folder = other.parent.parent / name
    write_panoramas(folder / "images", ["y00"])
    student = {"stage": "from", "config": str(other), "of": "train", **said}
    return write_file(
        folder / f"{name}.yaml",
        {"target": {"stage": "ingest", "source": {"url": "images"}}, "student": student, "predict": {"height": 32}},
    )


def test_the_newest_model_is_taken_while_another_is_owed(other: Path) -> None:
    own, newest = (predicting(other, name, **said) for name, said in (("own", {}), ("newest", {"latest": True})))
    for path in (own, newest):
        run_pipeline(load(path))
    fingerprints = {make_plan(load(path)).step("predict").stage.identity.fingerprint for path in (own, newest)}
    assert len(fingerprints) == 1, "it is the same model"
    data = yaml.safe_load(other.read_text())
    data["stages"]["train"]["steps"] = 3
    other.write_text(yaml.safe_dump(data, sort_keys=False))
    assert list(make_plan(load(own)).missing) == ["student"]
    plan = make_plan(load(newest))
    assert (plan.missing, plan.anything_to_run) == ({}, False), "a run does not wait for the retraining"
    run_pipeline(load(other, execution__device="cpu"))
    assert to_run(make_plan(load(newest))) == to_run(make_plan(load(own))) == {"predict": 1}
    model = trace_all(load(newest))["models"]["student"]
    run_pipeline(load(newest))
    (receipt,) = (
        found
        for path in (newest.parent / "store/stages/predict").glob("*/*")
        if (found := read_receipt(str(path))) and found.about["models"] == {"model": model[0]["sha256"]}
    )
    assert receipt.fingerprint == make_plan(load(newest)).step("predict").stage.identity.fingerprint


def test_a_model_that_none_has_made_is_missing(tmp_path: Path) -> None:
    other = write_pipeline(tmp_path / "other", 2)
    run_pipeline(load(other))
    data = yaml.safe_load(other.read_text())
    data["stages"]["train"] = {**TRAIN, **STEPS}
    other.write_text(yaml.safe_dump(data, sort_keys=False))
    config: Config = load(predicting(other, "newest", latest=True))
    assert [len(blocks) for blocks in make_plan(config).missing.values()] == [1]
    with pytest.raises(ConfigError, match=rf"owe: student 1; make them with `panolabel run {other}`$"):
        run_pipeline(config)


def test_what_was_made_with_another_model_is_owed(other: Path) -> None:
    """A training that is made again gives other weights on another device, under the fingerprint that it has."""
    path = predicting(other, "own")
    run_pipeline(load(path))
    assert not make_plan(load(path)).anything_to_run
    (file,) = (other.parent / "store/stages/train").glob("*/*/receipt.json")
    receipt = json.loads(file.read_text())
    weights = next(name for name in receipt["files"] if name.endswith("model.safetensors"))
    receipt["files"][weights]["sha256"] = "f" * 64
    file.write_text(json.dumps(receipt))
    plan = make_plan(load(path))
    assert to_run(plan) == {"predict": 1}
    (row,) = (row for row in plan.stages if row.stage == "predict")
    assert row.reasons == ("quarantined items tried again, or another model: 1 block(s)",)
    run_pipeline(load(path))
    assert not make_plan(load(path)).anything_to_run


def test_a_mistake_in_the_other_file_names_both(tmp_path: Path) -> None:
    other = write_pipeline(tmp_path / "other", 1)
    data = yaml.safe_load(other.read_text())
    data["stages"]["fuse"]["hight"] = 32
    other.write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(
        ConfigError, match=rf"stages\.indoor: config {other}: stages\.fuse\.hight: unknown key; did you mean 'height'"
    ):
        load(write_reader(other))


def test_what_waits_for_another_file_is_no_finished_plan(tmp_path: Path) -> None:
    other = write_pipeline(tmp_path / "other", 1)
    labels = {"stage": "from", "config": str(other), "of": "fuse"}
    path = write_file(
        tmp_path / "student/student.yaml", {"labels": labels, "train": {"size": "tiny", "height": 32, "steps": 4, **STEPS}}
    )
    (row,) = (row for row in make_plan(load(path)).stages if row.stage == "train")
    assert (row.to_run, row.reasons) == (0, ("waits for labels",))
    assert CliRunner().invoke(app, ["plan", str(path), "--check"]).exit_code == 1
