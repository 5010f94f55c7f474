"""Stages that are joined to their reader: the same labels, nothing of what they were made from, no work but what is owed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.execution import Execution
from configs.settings import ConfigError
from flows.cli import app
from flows.plan import make_plan
from flows.stores.items import verify_store
from flows.stores.lineage import trace_item
from storage.receipts import ROWS, read_dropped
from tasks.stage.attempts.attempt import make_block
from tests.support.faulty import journal, switch
from tests.support.pipelines import data_bytes, load, run_pipeline, without_fingerprints, write_pipeline
from tests.support.processes import write_faulty_pipeline
from tests.support.stages import ingested

pytestmark = pytest.mark.usefixtures("prefect_api")
NEVER: dict[str, Any] = {"geometry__keep": "never"}


def fused(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in without_fingerprints(folder / "store").items() if "fuse/" in name}


def labelled(folder: Path) -> Counter[str]:
    return Counter(item for _, item in journal(folder))


def dropped(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "store/stages/label.geometry").rglob("dropped.json"))
    return [row for file in files for row in json.loads(file.read_text())["items"]]


def test_fused_bytes_are_those_of_stored_labels_and_only_receipts_are_left(tmp_path: Path) -> None:
    turned = {"label": {"rotations": 1}}
    stored, joined = (write_pipeline(tmp_path / name, 4, **turned) for name in ("stored", "joined"))
    run_pipeline(load(stored))
    config = load(joined, **NEVER, classes__keep="never", project__keep="until_read")
    record = run_pipeline(config)
    assert fused(joined.parent) == fused(stored.parent)
    assert not [name for name in data_bytes(joined.parent / "store") if "label." in name or "/project/" in name]
    ran = {row["stage"]: row["ran"] for row in record["stages"]}
    assert (ran["geometry"], ran["classes"], ran["fuse"]) == (0, 0, 2)
    plan = make_plan(config)
    assert not plan.anything_to_run
    assert [row.reasons for row in plan.stages if row.stage == "geometry"] == [("is made within fuse, item by item",)]
    assert all(broken is None for _, broken in verify_store(config))
    steps = {step["key"]: step for step in trace_item(config, "p00")["steps"]}
    assert steps["geometry"]["weights"], "lineage is whole"
    receipts = [json.loads(file.read_text()) for file in (joined.parent / "store/stages/fuse").rglob("receipt.json")]
    assert {name: one["items"] for name, one in receipts[0]["made"]["joined"].items()} == {
        "label.classes": 2,
        "label.classes.rotation1": 2,
        "label.geometry": 2,
        "label.geometry.rotation1": 2,
    }


def test_the_receipts_that_are_left_tell_what_those_of_stored_labels_tell(tmp_path: Path) -> None:
    stored, joined = write_faulty_pipeline(tmp_path / "stored", 4), write_faulty_pipeline(tmp_path / "joined", 4)
    for path, keep in ((stored, "until_read"), (joined, "never")):
        switch(path.parent, spoil={"p01": "dark"})
        run_pipeline(load(path, geometry__keep=keep))
    rows = dropped(joined.parent)
    assert [{**row, "key": ""} for row in rows] == [{**row, "key": ""} for row in dropped(stored.parent)]
    assert all(row["key"] for row in rows if row["state"] == "done")
    assert [row["state"] for row in rows] == ["done", "quarantined", "done", "done"]
    assert labelled(joined.parent) == labelled(stored.parent)


def test_only_what_is_owed_is_labelled(tmp_path: Path) -> None:
    path = write_faulty_pipeline(tmp_path, 4)
    switch(tmp_path, spoil={"p01": "dark"})
    run_pipeline(load(path, **NEVER))
    before = labelled(tmp_path)
    switch(tmp_path)
    config = load(path, **NEVER)
    run_pipeline(config, retry=True)
    assert labelled(tmp_path) - before == {"p01": 1}
    assert [row["state"] for row in dropped(tmp_path)] == ["done"] * 4
    (tmp_path / "images" / "p02.png").write_bytes((tmp_path / "images" / "p00.png").read_bytes())
    before = labelled(tmp_path)
    run_pipeline(config)
    assert labelled(tmp_path) - before == {"p02": 1}, "its neighbour is copied"
    assert not make_plan(config).anything_to_run


def test_what_a_fault_left_half_done_is_not_labelled_again(tmp_path: Path) -> None:
    path = write_faulty_pipeline(tmp_path, 20)
    config = load(path, **NEVER, ingest__block_size=20, execution__runner__workers=1)
    switch(tmp_path, spoil={"p18": "bug"})
    with pytest.raises(Exception, match="a bug of the teacher's"):
        run_pipeline(config)
    assert list((tmp_path / "store").rglob(ROWS))
    switch(tmp_path)
    run_pipeline(config)
    assert {item for item, count in labelled(tmp_path).items() if count > 1} <= {"p16", "p17", "p18", "p19"}
    rows = dropped(tmp_path)
    assert (len(rows), all(row["figures"]["depth_valid"] for row in rows)) == (20, True)
    whole = write_faulty_pipeline(tmp_path / "whole", 20)
    run_pipeline(load(whole, ingest__block_size=20))
    assert fused(tmp_path) == fused(whole.parent)


def test_an_item_that_kills_its_process_is_found(tmp_path: Path) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    config = load(path, **NEVER)
    ingested(config)
    run_pipeline(load(path, fuse__height=16))  # the views are there; the labels go
    for file in (tmp_path / "store/stages/label.geometry").rglob("receipt.json"):
        file.unlink()
    switch(tmp_path, kill_on="p01")
    plan = make_plan(config)
    step = plan.step("fuse")
    job = plan.job(step, step.blocks[0], "guarded", Execution())
    rows = make_block(replace(job, guarded=True), print).items
    assert [(row.state, "killed its process twice" in row.reason) for row in rows] == [("done", False), ("quarantined", True)]
    left = read_dropped(job.url_of(job.input("labels")))
    assert left is not None
    assert [row.state for row in left.items] == ["done", "quarantined"]


def test_trying_its_reader_leaves_nothing(tmp_path: Path) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    config = load(path, **NEVER)
    run_pipeline(config)
    before = {str(file): file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*")}
    words = ["--item", "p00", "--set", "geometry.keep=never", "--out", str(tmp_path / "seen.png")]
    told = CliRunner().invoke(app, ["try", str(path), "fuse", *words])
    assert (told.exit_code, "same to the last bit" in told.output) == (0, True), told.output
    assert {str(file): file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*")} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"project__keep": "never"}, r"stages\.project\.keep: never: project makes whole blocks; write `keep: until_read`"),
        ({"fuse__keep": "never"}, r"stages\.fuse\.keep: never: fuse makes whole blocks"),
        ({"ingest__keep": "never"}, r"stages\.ingest\.keep: what ingest makes is no labels of single panoramas"),
    ],
)
def test_what_cannot_be_joined_is_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(load(write_pipeline(tmp_path, 1), **changes))


def test_what_several_stages_read_is_not_joined_to_one(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    text = path.read_text().replace("  evaluate:", "  again: {stage: fuse, height: 32}\n  evaluate:")
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"stages\.geometry\.keep: never: .*; fuse, again read it; write `keep: until_read`"):
        make_plan(load(path, **NEVER))
