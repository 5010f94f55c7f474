"""What gc must keep: blocks of runs that are going, and all that a kept training or adaptation was made from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.plan import make_plan
from flows.stores.garbage import collect, find_garbage
from flows.stores.needed import is_going, needed
from storage.receipts import Receipt, write_receipt
from storage.records.runs import latest_run, write_run
from tests.support.faulty import switch
from tests.support.pipelines import data_bytes, load, run_pipeline, write_pipeline
from tests.support.processes import holder, start_run, write_faulty_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.mark.fault("gc beside a run", expected="takes nothing of what the run makes or reads")
def test_a_gc_beside_a_run_takes_nothing_from_it(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 4)
    switch(tmp_path, hold_on="p03")
    run = start_run(path, {"PREFECT_API_URL": prefect_api}, execution__runner__workers=1)
    holder(tmp_path, "p03", run)
    unfinished = [
        folder for folder in (tmp_path / "store/stages/label.geometry").glob("*/*") if not (folder / "receipt.json").exists()
    ]
    assert unfinished, "a block is in work"
    found = find_garbage(load(path), keep_runs=0, older_than_hours=0)
    assert found == []
    collect(load(path), found)
    switch(tmp_path)
    assert run.wait(600) == 0
    assert not make_plan(load(path)).anything_to_run


def test_who_is_going() -> None:
    record: dict[str, Any] = {
        "state": "running",
        "host": platform.node(),
        "process": os.getpid(),
        "started": "2020-01-01T00:00:00+00:00",
    }
    assert is_going(record), "its process lives, however long ago it began"
    assert not is_going({**record, "state": "completed"})
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert not is_going({**record, "process": dead.pid, "started": datetime.now(UTC).isoformat()})
    elsewhere = {**record, "host": "another machine"}
    assert not is_going(elsewhere)
    assert is_going({**elsewhere, "started": (datetime.now(UTC) - timedelta(days=6)).isoformat()})


def test_what_a_kept_training_was_made_from_stays(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 2)
    config = load(path)
    run_pipeline(config)
    before = data_bytes(tmp_path / "store")
    identities = {stage.name: stage.identity.fingerprint for stage in make_plan(config).definitions}
    other = load(path, fuse__edge_feather=0.4, project__patch_size=32)
    gone = {one.url.split("/")[-2] for one in find_garbage(other, keep_runs=0)}
    assert gone == {*identities} - {"ingest"}, "nobody needs them yet"
    made = {"run": "r", "seconds": 1.0, "device": "cpu", "versions": {}}
    upstream = {"labels 1 (small)": identities["fuse"]}
    url = str(tmp_path / "store/stages/train" / ("a" * 16) / "000000-b")
    weights = {"model/weights": {"bytes": 1, "sha256": "0" * 64}}
    write_receipt(url, Receipt("train", "a" * 16, "000000-b", [], weights, {}, {**made, "identity": {"upstream": upstream}}))
    kept = needed(other, make_plan(other), keep_runs=0)
    made_from = {(name, print_) for name, print_ in identities.items() if name not in ("evaluate", "ingest")}
    assert made_from <= kept
    collect(other, find_garbage(other, keep_runs=0))
    left = data_bytes(tmp_path / "store")
    assert {name for name in before if "/evaluate/" not in name} <= left.keys()


def test_a_record_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    root = str(tmp_path)
    record = {"run": "20260101-a", "state": "completed", "started": "2026-01-01T00:00:00+00:00", "config": {"name": "small"}}
    write_run(root, {**record, "of a newer version": [1]})
    for name, text in {"20260102-b": "{", "20260103-c": "[]", "20260104-d": json.dumps({**record, "config": None})}.items():
        (tmp_path / "runs" / f"{name}.json").write_text(text)
    found = latest_run(root, "small")
    assert found is not None
    assert (found["run"], found["of a newer version"]) == ("20260101-a", [1])
