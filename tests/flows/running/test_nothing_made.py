"""Stages that gave up all their items fail their run, with an exit code of their own; a few bad items do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.invocation import remember
from flows.plan import make_plan
from flows.running import stage_run
from flows.running.nothing_made import NothingMade, tried
from storage.receipts import Receipt, blocks_with_receipts
from storage.records.runs import latest_run
from storage.rows import ItemRow
from tests.support.commands import panolabel
from tests.support.faulty import switch
from tests.support.pipelines import load, run_pipeline, write_panoramas, write_pipeline
from tests.support.processes import write_faulty_pipeline
from tests.support.stages import ingested

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_a_single_item_that_is_given_up_is_no_success(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 1)
    switch(tmp_path, spoil={"p00": "all sky"})
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 4, result.stderr
    assert "stage geometry: none of 1 item could be made; the first, p00: the teacher's depth has no valid" in result.stderr
    assert f"panolabel run {path} --retry-quarantined" in result.stderr
    again = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert again.returncode == 4, "that its receipts are there makes it no success either"
    switch(tmp_path)
    result = panolabel("run", path, "--retry-quarantined", PREFECT_API_URL=prefect_api)
    assert result.returncode == 0, result.stderr


def test_a_source_without_one_good_file_is_no_success(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    for file in (tmp_path / "images").iterdir():
        file.write_bytes(b"no image")
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert (result.returncode, "stage ingest: none of 2 items could be made" in result.stderr) == (4, True), result.stderr
    assert panolabel("run", path, PREFECT_API_URL=prefect_api).returncode == 4


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


def test_what_was_removed_is_no_failure_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pipeline(tmp_path, 4)
    ingested(load(path))
    for name in ("p00", "p01", "p02"):
        (tmp_path / "images" / f"{name}.png").unlink()
    monkeypatch.setattr(stage_run, "LEAST_TRIED", 2)  # of twenty removed panoramas the same is true
    assert run_pipeline(load(path))["state"] == "completed"
    assert not make_plan(load(path)).anything_to_run


def test_a_teacher_that_refuses_all_is_no_success_whatever_its_words(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    switch(tmp_path, spoil={"p00": "dark", "p01": "dark"})
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert (result.returncode, "none of 2 items could be made; the first, p00: at night: too dark" in result.stderr) == (4, True)
    assert "Labels:" not in result.stdout


@pytest.mark.slow
def test_the_outcome_of_a_state_is_the_same_whether_anything_runs(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    write_panoramas(tmp_path / "images", ["q00", "q01"])
    switch(tmp_path, spoil={"q00": "dark", "q01": "dark"})
    for _ in range(3):
        result = panolabel("run", path, PREFECT_API_URL=prefect_api)
        assert (result.returncode, "none of 2 items could be made; the first, q00" in result.stderr) == (4, True), result.stderr
        assert not make_plan(load(path)).anything_to_run, "what can be made is made all the same"
    assert panolabel("failures", "waive", path, "q00", "q01", "--reason", "night").returncode == 0
    assert panolabel("run", path, PREFECT_API_URL=prefect_api).returncode == 0
    assert (tmp_path / "store" / "waivers.json").exists()
    (tmp_path / "store" / "waivers.json").unlink()
    switch(tmp_path)
    assert panolabel("run", path, "--retry-quarantined", PREFECT_API_URL=prefect_api).returncode == 0
    assert panolabel("run", path, PREFECT_API_URL=prefect_api).returncode == 0, "mended"


def test_all_files_bad_and_waived_is_an_outcome_too(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 2)
    for file in (tmp_path / "images").iterdir():
        file.write_bytes(b"no image")
    assert panolabel("run", path, PREFECT_API_URL=prefect_api).returncode == 4
    assert panolabel("failures", "waive", path, "p00", "p01", "--reason", "broken").returncode == 0
    result = panolabel("run", path, "--retry-quarantined", PREFECT_API_URL=prefect_api)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Made:    nothing; every panorama was given up" in result.stdout


def test_a_block_that_left_out_all_it_stands_for_is_no_success() -> None:
    """A comparison whose every truth is unreadable is one item, and done."""

    def receipt(panoramas: int, **figures: object) -> Receipt:
        row = ItemRow("000000-a", "done", "", {"panoramas": panoramas, **figures})
        return Receipt("compare", "f", "000000-a", [row], {}, {}, {})

    unread = {"p00": "cannot be read", "p01": "cannot be read"}
    assert [(row.item, row.state) for row in tried(receipt(0, given_up=unread))] == [
        ("p00", "quarantined"),
        ("p01", "quarantined"),
    ]
    assert [row.state for row in tried(receipt(3, given_up=unread))] == ["done", "quarantined", "quarantined"]
    assert [row.state for row in tried(receipt(0))] == ["done"], "a block without any truth has nothing to compare"


def test_in_a_process_without_a_config_file_words_say_so(tmp_path: Path) -> None:
    remember("")  # as in a deployment, whose parameter is the whole config
    path = write_faulty_pipeline(tmp_path, 1)
    switch(tmp_path, spoil={"p00": "all sky"})
    with pytest.raises(NothingMade, match="try them again: `panolabel run --retry-quarantined` with a file of this config"):
        run_pipeline(load(path))


def test_a_fault_of_the_code_fails_its_block_and_quarantines_nothing(tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 3)
    switch(tmp_path, spoil={"p02": "bug"})
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 1
    assert "1 of 2 blocks could not be made:" in result.stderr
    assert "faulty.py" in result.stderr.partition("Traceback")[2], "where it is, is in the log"
    stage = next(stage for stage in make_plan(load(path)).definitions if stage.key == "geometry")
    made = blocks_with_receipts(str(tmp_path / "store"), stage.name, stage.identity.fingerprint)
    assert len(made) == 1, "the other block is done"
    switch(tmp_path, spoil={"p02": "cannot"})
    (row,) = run_pipeline(load(path))["quarantined"]
    assert (row["item"], row["reason"]) == ("p02", "the lens cap was on")
