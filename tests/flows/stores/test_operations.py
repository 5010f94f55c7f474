"""What a team does every day: keep a plan and run it, look after failures, clean up, repair."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from configs.settings import ConfigError
from flows.plan import make_plan
from flows.running.drift import PlanDrift, refuse_drift
from flows.stores.failures import failed, items_to_retry, waive
from flows.stores.garbage import collect, find_garbage
from flows.stores.items import verify_store
from flows.stores.lineage import trace_item
from flows.stores.status import store_status
from storage.records.runs import latest_run
from tests.support.commands import panolabel
from tests.support.pipelines import data_bytes, keep, load, restore, run_pipeline, write_panoramas, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    path = write_pipeline(tmp_path_factory.mktemp("operations"), 3)
    run_pipeline(load(path))
    keep(path)
    return path


@pytest.fixture
def path(ran: Path) -> Path:
    """A pipeline of three panoramas in two blocks that has run once."""
    return restore(ran)


@pytest.mark.slow
def test_a_kept_plan_runs_and_a_drifted_one_is_refused(tmp_path: Path, prefect_api: str) -> None:
    path, kept = write_pipeline(tmp_path, 3), tmp_path / "plan.json"
    kept.write_text(panolabel("plan", path, "--json").stdout)
    refuse_drift(kept, make_plan(load(path)))
    changes = {
        "fuse: fuse.edge_feather: 0.2 -> 0.4": make_plan(load(path, fuse__edge_feather=0.4)),
        "project: project.patch_size: 24 -> 32": make_plan(load(path, project__patch_size=32)),
    }
    for told, plan in changes.items():
        with pytest.raises(PlanDrift, match=told):
            refuse_drift(kept, plan)
    write_panoramas(tmp_path / "images", ["p99"])
    refused = panolabel("run", path, "--from-plan", kept, PREFECT_API_URL=prefect_api)
    assert (refused.returncode, "files to read: new p99" in refused.stderr) == (3, True)
    assert not (tmp_path / "store" / "stages" / "fuse").exists()
    (tmp_path / "images" / "p99.png").unlink()
    done = panolabel("run", path, "--from-plan", kept, PREFECT_API_URL=prefect_api)
    assert done.returncode == 0, done.stderr
    with pytest.raises(PlanDrift, match="files to read: no longer"):
        refuse_drift(kept, make_plan(load(path)))
    kept.write_text("[]")
    with pytest.raises(ConfigError, match="is no plan"):
        refuse_drift(kept, make_plan(load(path)))


def test_failures_are_listed_waived_and_tried_again(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 4)
    for name in ("p01", "p02"):
        (tmp_path / "images" / f"{name}.png").write_bytes(b"no image")
    config = load(path)
    run_pipeline(config)
    found = failed(config)
    assert [row["item"] for row in found["items"]] == ["p01", "p02"]
    assert [row["items"] for row in found["causes"]] == [2]
    waive(config, ["p01"], "the camera fell over")
    assert [row["item"] for row in failed(config)["items"]] == ["p02"]
    assert failed(config)["waived"][0]["waived"] == "the camera fell over"
    assert store_status(config)["waived"] == 1
    assert items_to_retry(config, []) == ["p02"]
    with pytest.raises(ConfigError, match="'p00' was not given up"):
        items_to_retry(config, ["p00"])
    # Same size and time stamp, so that only asking makes it read again.
    for name in ("p01", "p02"):
        file = tmp_path / "images" / f"{name}.png"
        stamp = file.stat()
        good = (tmp_path / "images" / "p00.png").read_bytes()
        file.write_bytes(b"no image" if name == "p01" else good)
        import os

        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    run_pipeline(config, retry=items_to_retry(config, []))
    assert [row["item"] for row in failed(config)["waived"]] == ["p01"]
    assert failed(config)["items"] == []
    assert not make_plan(config).anything_to_run


def test_gc_removes_what_nothing_needs_and_says_so_first(path: Path) -> None:
    first = load(path)
    before = data_bytes(path.parent / "store")
    run_pipeline(load(path, fuse__edge_feather=0.4))
    stray = path.parent / "store" / "stages" / "fuse" / make_plan(first).step("fuse").stage.identity.fingerprint / "000009-dead"
    stray.mkdir()
    (stray / "part").write_bytes(b"12345")
    found = find_garbage(first, keep_runs=1, older_than_hours=0)
    assert [(one.why.split(":")[0], one.bytes) for one in found] == [("unfinished", 5)], "both configs' labels are in use"
    found = find_garbage(first, keep_runs=0, older_than_hours=0)
    assert sorted(one.why.split(":")[0] for one in found) == ["superseded", "superseded", "unfinished"]
    assert data_bytes(path.parent / "store").keys() > before.keys()
    collect(first, found)
    assert data_bytes(path.parent / "store") == before
    assert not stray.exists()
    assert find_garbage(first, keep_runs=0, older_than_hours=0) == []
    assert find_garbage(first, keep_runs=0) == []


def test_data_that_somebody_may_be_writing_is_left_alone(path: Path) -> None:
    fused = path.parent / "store" / "stages" / "fuse" / make_plan(load(path)).step("fuse").stage.identity.fingerprint
    (fused / "000009-live").mkdir()
    (fused / "000009-live" / "part").write_bytes(b"1")
    assert find_garbage(load(path), older_than_hours=1) == []


def test_patch_labels_go_once_fused_and_come_back_when_needed(path: Path) -> None:
    kept = {"geometry__keep": "until_read", "classes__keep": "until_read"}
    config = load(path, **kept)
    before = data_bytes(path.parent / "store")
    found = find_garbage(config)
    assert {one.kind for one in found} == {"labels"}
    collect(config, found)
    after = data_bytes(path.parent / "store")
    assert {name for name in before if "/label." not in name} == set(after), "patch labels went, and nothing else"
    assert not make_plan(config).anything_to_run
    assert {step["key"]: step["state"] for step in trace_item(config, "p01")["steps"]}["geometry"] == "done"
    assert all(broken is None for _, broken in verify_store(config))
    changed = load(path, **kept, fuse__edge_feather=0.4)
    assert {row.stage: row.to_run for row in make_plan(changed).stages}["geometry"] == 2
    run_pipeline(changed)
    assert not [name for name in data_bytes(path.parent / "store") if "/label." in name], "dropped as soon as they were fused"
    collect(config, find_garbage(config, keep_runs=0))
    run_pipeline(config)
    fused = {name: data for name, data in before.items() if "/fuse/" in name}
    assert {name: data for name, data in data_bytes(path.parent / "store").items() if name in fused} == fused


def test_verify_repairs_only_what_is_broken(path: Path, prefect_api: str) -> None:
    before = data_bytes(path.parent / "store")
    broken = next(name for name in before if "/label.classes/" in name and name.endswith("/c/0/0/0/0/0"))
    file = path.parent / "store" / broken
    data = bytearray(before[broken])
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    (path.parent / "store" / "stages" / "project").rename(path.parent / "project.aside")
    stamps = {one: one.stat().st_mtime_ns for one in (path.parent / "store").rglob("receipt.json")}
    (path.parent / "project.aside").rename(path.parent / "store" / "stages" / "project")
    repaired = panolabel("verify", path, "--repair", PREFECT_API_URL=prefect_api)
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert data_bytes(path.parent / "store") == before
    again = {one: one.stat().st_mtime_ns for one in stamps}
    assert sum(stamps[one] != again[one] for one in stamps) == 1, "one block was made again, and only it"


def test_trace_of_one_stage_and_status_of_the_last_run(path: Path) -> None:
    steps = trace_item(load(path), "p01", "classes")["steps"]
    assert [(step["key"], step["stage"]) for step in steps] == [("project", "project"), ("classes", "label.classes")]
    with pytest.raises(ConfigError, match="stage 'label' is not known"):
        trace_item(load(path), "p01", "label")
    state = store_status(load(path))
    assert state["last_run"]["state"] == "completed"
    assert state["last_run"]["items_done"] == 15
    assert state["last_run"]["items_per_second"] > 0
    assert state["last_run"]["prefect"] == "", "its server ended with the run"
    assert json.dumps(state)


def test_a_run_that_was_killed_goes_on_nowhere(path: Path) -> None:
    record = latest_run(load(path).root, load(path).name)
    assert record is not None
    record |= {"state": "running", "run": "killed", "started": "2099-01-01T00:00:00+00:00"}
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    own = Path(load(path).root, "runs", "killed.json")
    own.write_text(json.dumps({**record, "process": gone.pid, "host": platform.node()}))
    last = store_status(load(path))["last_run"]
    shown = panolabel("status", path)
    own.unlink()
    assert (last["state"], last["eta_seconds"]) == ("died", None)
    assert "its process is gone; the next run goes on where it was" in shown.stdout
