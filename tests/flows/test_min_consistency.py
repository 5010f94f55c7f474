"""``fuse.min_consistency``: what disagrees with itself is given up at fuse, told, skipped, waived and taken back."""

from pathlib import Path

import pytest

from flows.failures import failed, items_to_retry, waive
from flows.plan import make_plan
from storage.arrays import BlockReader
from storage.receipts import block_url, read_receipt
from tasks.consistency import item_consistency
from tests.support.pipelines import load, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_items_below_the_threshold_are_quarantined_at_fuse(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 3)
    run_pipeline(load(path))
    plan = make_plan(load(path))
    fuse = next(stage.identity for stage in plan.definitions if stage.name == "fuse")
    found = {}
    for block in plan.blocks:
        reader = BlockReader(block_url(str(tmp_path / "store"), "fuse", fuse.fingerprint, block.name))
        for slot, item in enumerate(block.items):
            found[item.item] = item_consistency(reader.item(slot))
    worst, second, *_ = sorted(found, key=lambda name: found[name] or 0)
    assert found[worst] is not None
    assert found[second] is not None
    threshold = (found[worst] + found[second]) / 2

    strict = load(path, fuse__min_consistency=threshold)
    record = run_pipeline(strict)
    ran = {row["stage"]: (row["ran"], row["quarantined"]) for row in record["stages"]}
    assert ran["fuse"] == (2, 1)
    assert ran["evaluate"] == (2, 1)
    assert ran["label.geometry"] == (0, 0), "patch labels stay"
    (row,) = failed(strict)["items"]
    assert (row["item"], row["stage"]) == (worst, "fuse")
    assert row["reason"].startswith(f"views disagree: consistency {found[worst]:.4f} is below fuse.min_consistency")
    assert failed(strict)["causes"] == [{"cause": "fuse: views disagree", "items": 1}]
    receipts = [read_receipt(str(url)) for url in (tmp_path / "store" / "stages" / "evaluate").glob("*/*")]
    told = {row.item: row.reason for one in receipts if one for row in one.items if row.state == "quarantined"}
    assert told == {worst: f"at fuse: {row['reason']}"}, "later stages skip it, and say where it went"

    assert items_to_retry(strict, []) == [worst]
    waive(strict, [worst], "a mirror hall")
    assert failed(strict)["items"] == []
    assert items_to_retry(strict, []) == []
    assert failed(load(path))["items"] == [], "without the threshold its labels are there as before"
