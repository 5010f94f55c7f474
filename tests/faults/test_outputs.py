"""What a teacher, its weights, the code, the source or the store can get wrong, and what a run makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.errors import RunFailed
from flows.plan import make_plan
from flows.stores.items import verify_store
from storage.arrays import BlockReader
from storage.receipts import read_receipt
from tasks.stage.job import Job
from tests.support.commands import panolabel
from tests.support.faulty import journal, switch
from tests.support.pipelines import data_bytes, load, run_pipeline, without_fingerprints, write_pipeline
from tests.support.processes import holder, start_run, write_faulty_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")
Seen = Callable[[str], None]


def label_receipts(path: Path) -> list[Path]:
    return sorted((path.parent / "store" / "stages" / "label.geometry").rglob("receipt.json"))


@pytest.mark.fault(
    "CUDA out of memory", expected="the batch is halved once; if that is too much too, the block fails, and no item is given up"
)
def test_out_of_memory_halves_the_batch_once(tmp_path: Path, seen: Seen) -> None:
    whole, halved, hopeless = (write_faulty_pipeline(tmp_path / name, 2) for name in ("whole", "halved", "hopeless"))
    switch(halved.parent, memory_for=4)
    switch(hopeless.parent, memory_for=3)
    run_pipeline(load(whole, execution__batch_size=8))
    run_pipeline(load(halved, execution__batch_size=8))
    assert without_fingerprints(whole.parent / "store") == without_fingerprints(halved.parent / "store")
    assert len(journal(whole.parent)) == 2
    assert len(journal(halved.parent)) == 2 + 2 * 2, "one try of six patches, then four and two"
    with pytest.raises(RunFailed, match=r"ran out of memory with 4 patches at a time; lower execution.batch_size"):
        run_pipeline(load(hopeless, execution__batch_size=8))
    assert not label_receipts(hopeless), "a machine that is too small says nothing of an item"
    run_pipeline(load(hopeless, execution__batch_size=3))
    assert without_fingerprints(whole.parent / "store") == without_fingerprints(hopeless.parent / "store")
    seen("memory for 4 of 8 patches: labels byte-identical to a whole batch; for 3: the block fails; a batch of 3 mends it")


@pytest.mark.fault("NaN or infinite output", expected="invalid in the mask, zero in the values, counted in the receipt")
def test_values_that_are_not_finite_are_masked_and_counted(tmp_path: Path, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    switch(tmp_path, spoil={"p01": "not finite"})
    run_pipeline(load(path))
    (file,) = label_receipts(path)
    stored = BlockReader(str(file.parent)).item(1)
    expected = np.ones_like(stored["depth_valid"])
    expected[0, :2, :5] = False
    expected[1, 0, 0] = False
    np.testing.assert_array_equal(stored["depth_valid"], expected)
    assert np.isfinite(stored["depth"]).all()
    assert (stored["depth"][~expected] == 0).all()
    receipt = read_receipt(str(file.parent))
    assert receipt is not None
    share = receipt.row("p01").figures["depth_valid"]
    assert share == round(1 - 11 / expected.size, 4)
    seen(f"11 of {expected.size} pixels not finite: all 11 and no others masked; receipt says depth_valid = {share}")


@pytest.mark.fault("All sky (no valid pixel)", expected="the item is quarantined with the reason; the others are done")
def test_an_item_without_a_valid_pixel_is_given_up(tmp_path: Path, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 3)
    switch(tmp_path, spoil={"p01": "all sky"})
    (row,) = run_pipeline(load(path))["quarantined"]
    assert row["item"] == "p01"
    assert "depth has no valid pixel in any view" in row["reason"]
    seen(f"1 of 3 quarantined: {row['reason']}")


@pytest.mark.fault("Weights changed between plan and work (wrong digest)", expected="refused before any label is written")
def test_other_weights_than_planned_are_refused(tmp_path: Path, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    config = load(path)
    run_pipeline(config)
    for file in label_receipts(path):
        file.unlink()
    plan = make_plan(config)
    stage = next(stage for stage in plan.definitions if stage.key == "geometry")
    (tmp_path / "geometry.json").write_text(json.dumps({"factor": 3.0}))
    calls = len(journal(tmp_path))
    with pytest.raises(RuntimeError, match=r"weights in use .* are not those planned .*; plan again"):
        stage.make(Job(stage, plan.blocks[0], "test", config.execution))
    assert not label_receipts(path)
    assert len(journal(tmp_path)) == calls, "the teacher must not even look"
    seen("refused: weights in use are not those planned; plan again. 0 items labelled, 0 receipts")


@pytest.mark.fault("Mixed code versions on workers", expected="refused; nothing is written")
def test_other_code_than_planned_is_refused(tmp_path: Path, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    config = load(path)
    run_pipeline(config)
    for file in label_receipts(path):
        file.unlink()
    plan = make_plan(config)
    stage = next(stage for stage in plan.definitions if stage.key == "geometry")
    job = Job(stage, plan.blocks[0], "test", config.execution)
    with pytest.raises(RuntimeError, match="install the same version of panolabel on every worker"):
        stage.make(replace(job, code="0123456789abcdef"))
    assert not label_receipts(path)
    assert stage.make(job).items[0].state == "done", "the same job with the planned code goes through"
    seen("refused, naming both digests of the code; 0 receipts")


@pytest.mark.fault("Bit-flipped chunk", expected="verify finds it; only that block is computed again")
def test_a_flipped_bit_is_found_and_only_its_block_made_again(tmp_path: Path, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 6)
    config, store = load(path), tmp_path / "store"
    run_pipeline(config)
    before = data_bytes(store)
    name = next(name for name in before if "/label.geometry/" in name and "/depth/c/" in name)
    data = bytearray(before[name])
    data[len(data) // 2] ^= 1
    (store / name).write_bytes(data)
    stamps = {file: file.stat().st_mtime_ns for file in store.rglob("receipt.json")}
    broken = [damage for _, damage in verify_store(config) if damage]
    assert [(one.stage, len(one.problems)) for one in broken] == [("geometry", 1)]
    run_pipeline(config)
    again = [file for file, stamp in stamps.items() if file.stat().st_mtime_ns != stamp]
    assert [file.parent for file in again] == [store.joinpath(*Path(name).parts[:4])]
    assert data_bytes(store) == before
    seen(f"one bit of {sum(map(len, before.values()))} bytes: found; 1 of {len(stamps)} blocks made again, bytes identical")


@pytest.mark.fault("Source changed mid-run", expected="the digest does not match: that item fails, the others are done")
def test_a_file_that_changes_during_the_run_fails_its_item(tmp_path: Path, seen: Seen, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 4)
    switch(tmp_path, hold_on="p00")
    run = start_run(path, {"PREFECT_API_URL": prefect_api}, execution__runner__workers=1)
    holder(tmp_path, "p00", run)
    changed = tmp_path / "images" / "p03.png"
    changed.write_bytes((tmp_path / "images" / "p00.png").read_bytes())
    switch(tmp_path)
    assert run.wait(120) == 0, (tmp_path / "stderr").read_text()
    rows = [row for file in label_receipts(path) for row in json.loads(file.read_text())["items"]]
    states = {row["item"]: row["state"] for row in rows}
    assert states == {"p00": "done", "p01": "done", "p02": "done", "p03": "quarantined"}
    reason = next(row["reason"] for row in rows if row["item"] == "p03")
    assert "the file changed while the run was going" in reason
    assert "changed files: p03" in str(make_plan(load(path)).as_json())
    seen("3 of 4 items done, 1 quarantined: the file changed while the run was going; the next plan reads it anew")


@pytest.mark.fault("Empty data set", expected="a clear message and exit code 2; no store is created")
def test_an_empty_source_leaves_no_store(tmp_path: Path, seen: Seen, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 1)
    (tmp_path / "images" / "p00.png").unlink()
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert "no panoramas found" in result.stderr
    assert not (tmp_path / "store").exists()
    seen("exit code 2, 'no panoramas found; files must end in one of ...'; no store")


@pytest.mark.fault("More than max_quarantined of the items fail", expected="the run stops early and says why (circuit breaker)")
def test_when_too_many_items_fail_the_run_stops(tmp_path: Path, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 40)
    switch(tmp_path, spoil={f"p{number:02d}": "all sky" for number in range(40)})
    with pytest.raises(RunFailed, match=r"items were given up, more than execution.max_quarantined = 0.5"):
        run_pipeline(load(path, execution__runner__workers=1))
    looked = {item for _, item in journal(tmp_path)}
    assert 20 <= len(looked) <= 26, "those in the window are finished, and no more are submitted"
    seen(f"stopped after {len(looked)} of 40 items, naming the share and the last reason")
