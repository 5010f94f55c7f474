"""Stages that gave up all their items fail their run, with an exit code of their own; a few bad items do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.nothing_made import NothingMade
from flows.plan import make_plan
from storage.receipts import blocks_with_receipts
from storage.runs import latest_run
from tests.flows.test_cli import panolabel
from tests.support.faulty import switch
from tests.support.pipelines import load, run_pipeline, write_panoramas
from tests.support.processes import write_faulty_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_a_single_item_that_is_given_up_is_no_success(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 1)
    switch(tmp_path, spoil={"p00": "all sky"})
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 4, result.stderr
    assert "stage label.geometry: none of 1 item could be made; the first, p00: the teacher's depth has no valid" in result.stderr
    assert f"panolabel run {path} --retry-quarantined" in result.stderr
    assert panolabel("run", path).returncode == 4, "that its receipts are there makes it no success either"
    switch(tmp_path)
    result = panolabel("run", path, "--retry-quarantined", PREFECT_API_URL=prefect_api)
    assert result.returncode == 0, result.stderr


def test_a_source_without_one_good_file_is_no_success(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    for file in (tmp_path / "images").iterdir():
        file.write_bytes(b"no image")
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert (result.returncode, "stage ingest: none of 2 items could be made" in result.stderr) == (4, True), result.stderr
    assert panolabel("run", path).returncode == 4


def test_items_that_all_fail_alike_beside_good_ones_are_told_and_one_is_not(tmp_path: Path) -> None:
    path = write_faulty_pipeline(tmp_path, 3)
    run_pipeline(load(path))
    write_panoramas(tmp_path / "images", ["q00"])
    switch(tmp_path, spoil={"q00": "all sky"})
    (row,) = run_pipeline(load(path))["quarantined"]
    assert row["item"] == "q00", "one bad item among good ones is its own fault"
    write_panoramas(tmp_path / "images", ["r00", "r01"])
    switch(tmp_path, spoil={"r00": "all sky", "r01": "all sky"})
    with pytest.raises(NothingMade, match="none of 2 items could be made; the first, r00"):
        run_pipeline(load(path))
    record = latest_run(str(tmp_path / "store"))
    assert record is not None
    assert record["state"] == "failed"


def test_a_fault_of_the_code_fails_its_block_and_quarantines_nothing(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 3)
    switch(tmp_path, spoil={"p02": "bug"})
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 1
    assert "1 of 2 blocks could not be made:" in result.stderr
    assert "faulty.py" in result.stderr.partition("Traceback")[2], "where it is, is in the log"
    stage = next(stage for stage in make_plan(load(path)).definitions if stage.name == "label.geometry")
    made = blocks_with_receipts(str(tmp_path / "store"), stage.name, stage.identity.fingerprint)
    assert len(made) == 1, "the other block is done"
    switch(tmp_path, spoil={"p02": "cannot"})
    (row,) = run_pipeline(load(path))["quarantined"]
    assert (row["item"], row["reason"]) == ("p02", "the lens cap was on")
