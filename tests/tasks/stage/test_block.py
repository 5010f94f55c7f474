"""One stage over one block: what quarantines, what fails, and what a receipt names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from storage.arrays import BlockReader, BlockWriter, DamagedBlock
from storage.fingerprint import Identity
from storage.items import Block, Item
from storage.receipts import damage, read_receipt, strays, withdraw
from storage.retries import StoreError
from storage.urls import files_below
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Edge, Kind, Nothing, Stage
from tasks.stage.upstream import Upstream


def job_in(folder: Path, count: int, stage: str = "fuse", reads: Stage | None = None) -> Job:
    items = tuple(Item(f"p{number:02d}", f"/{number}.png", f"{number:064x}", 8, 16, 1, "") for number in range(count))
    kind = Kind(stage, "1", Nothing, {"before": Edge("labels")}, "labels")
    identity = Identity(stage, "1", upstream={reads.name: reads.identity.fingerprint} if reads else {})
    own = Stage(stage, kind, Nothing(), {"before": (reads,)} if reads else {}, identity, str(folder))
    return Job(own, Block(0, items), "run")


def values(item: Item, _inputs: Any = None) -> Output:
    return Output({"depth": np.full((4, 8), int(item.item[1:]), np.float32)})


@pytest.mark.fault("A bug in a stage", expected="its block fails; nothing is quarantined")
@pytest.mark.parametrize("error", [ValueError("a bug"), KeyError("a bug"), ZeroDivisionError("a bug"), AssertionError("a bug")])
@pytest.mark.parametrize("where", ["read", "compute", "encode"])
def test_what_is_not_said_on_purpose_fails_the_block(tmp_path: Path, error: Exception, where: str) -> None:
    def fail(*_arguments: Any) -> Any:
        raise error

    job = job_in(tmp_path, 3)
    parts = {"compute": values, "read": lambda _slot, _item: None, "encode": dict} | {where: fail}
    with pytest.raises(type(error), match="a bug"):
        run_block(job, about={}, **parts)
    assert read_receipt(job.url) is None


def test_a_bad_item_is_quarantined_and_the_others_go_on(tmp_path: Path) -> None:
    def compute(item: Item, _inputs: Any) -> Output:
        if item.item == "p01":
            raise BadItem("it is torn")
        return values(item)

    receipt = run_block(job_in(tmp_path, 3), compute, {})
    assert [(row.state, row.reason) for row in receipt.items] == [("done", ""), ("quarantined", "it is torn"), ("done", "")]


def test_what_an_earlier_stage_gave_up_is_known_as_such(tmp_path: Path) -> None:
    def torn(_item: Item, _inputs: Any) -> Output:
        raise BadItem("at night: too dark")

    first = job_in(tmp_path, 1, "label.geometry")
    (row,) = run_block(first, torn, {}).items
    assert not row.inherited, "whatever its words, this stage said so"
    second = job_in(tmp_path, 1, reads=first.stage)
    before = Upstream(second, first.stage)
    (row,) = run_block(second, values, {}, read=lambda slot, _item: before.item(slot)).items
    told = ("at label.geometry: at night: too dark", "label.geometry")
    assert (row.reason, row.given_up_at, row.inherited) == (*told, True)
    last = job_in(tmp_path, 1, "evaluate", second.stage)
    after = Upstream(last, second.stage)
    (row,) = run_block(last, values, {}, read=lambda slot, _item: after.item(slot)).items
    assert (row.reason, row.given_up_at) == told, "the first stage that gave it up is the one that is named"


def test_a_receipt_older_than_the_stage_that_gave_up_is_read(tmp_path: Path) -> None:
    job = job_in(tmp_path, 1)
    run_block(job, values, {})
    file = Path(job.url, "receipt.json")
    old = json.loads(file.read_text())
    del old["items"][0]["given_up_at"]
    file.write_text(json.dumps(old))
    receipt = read_receipt(job.url)
    assert receipt is not None
    assert not receipt.items[0].inherited


def test_a_read_that_fails_for_another_reason_costs_no_receipt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_in(tmp_path, 2)
    reader = BlockReader(job.url, run_block(job, values, {}).files)
    with pytest.raises(KeyError, match="normals"):
        reader.item(0, ("normals",))

    def ends(*_arguments: Any) -> Any:
        raise RuntimeError("cannot schedule new futures after shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_read", ends)
        with pytest.raises(RuntimeError, match="cannot schedule new futures") as raised:
            reader.item(0)
    assert not isinstance(raised.value, DamagedBlock)
    assert read_receipt(job.url) is not None
    assert reader.item(0)["depth"].shape == (4, 8)


def test_damage_costs_only_the_receipt_that_lists_the_damaged_files(tmp_path: Path) -> None:
    job = job_in(tmp_path, 1)
    old = run_block(job, values, {})
    reader = BlockReader(job.url, old.files)
    reader.item(0)
    run_block(job, lambda *_: Output({"sky": np.ones((4, 8), bool)}), {})
    shutil.rmtree(Path(job.url, "data.zarr", "depth"))
    with pytest.raises(DamagedBlock, match="is sound by now: run again"):
        reader.item(0)
    assert read_receipt(job.url) is not None, "it lists other files, which are sound"


@pytest.mark.fault("A folder in the place of a receipt", expected="one message that says which, for every command")
def test_a_receipt_that_is_a_folder_is_told(tmp_path: Path) -> None:
    job = job_in(tmp_path, 1)
    run_block(job, values, {})
    receipt = Path(job.url, "receipt.json")
    receipt.unlink()
    receipt.mkdir()
    with pytest.raises(StoreError, match=r"receipt\.json: is a folder, where a receipt must be; remove it"):
        read_receipt(job.url)


def test_a_receipt_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_url: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    job = job_in(tmp_path, 1)
    run_block(job, values, {})
    monkeypatch.setattr("storage.receipts.read_bytes", refuse)  # rights mean nothing to root, as which tests may run
    with pytest.raises(StoreError, match="may not be read by the user who runs this; give the right to read it"):
        read_receipt(job.url)


def test_what_a_killed_writer_left_is_a_stray_and_what_speaks_of_the_data_is_none(tmp_path: Path) -> None:
    job = job_in(tmp_path, 1)
    receipt = run_block(job, values, {})
    for name in (".receipt.json.x1", "data.zarr/depth/c/0/0/0.ab.partial", "attempts.json", "dropped.json"):
        Path(job.url, name).write_bytes(b"x")
    assert strays(files_below(job.url), receipt) == [".receipt.json.x1", "data.zarr/depth/c/0/0/0.ab.partial"]


@pytest.mark.fault("Files go while their block is made", expected="no receipt; the block is made again")
def test_a_receipt_is_not_written_over_data_that_went_while_it_was_made(tmp_path: Path) -> None:
    job = job_in(tmp_path, 20)  # sixteen items make a shard, which lies there when the seventeenth is in work

    def compute(item: Item, _inputs: Any) -> Output:
        if item.item == "p19":
            shard = Path(job.url, "data.zarr", "depth", "c", "0")
            assert shard.exists()
            shutil.rmtree(shard)  # as a gc does that takes the block for one that nobody writes
        return values(item)

    with pytest.raises(StoreError, match="depth/c/0/0/0: is missing, though it was just written"):
        run_block(job, compute, {})
    assert read_receipt(job.url) is None
    receipt = run_block(job, values, {})
    assert damage(job.url, receipt) == []


def test_what_a_dead_attempt_left_is_no_part_of_the_block(tmp_path: Path) -> None:
    job = job_in(tmp_path, 3)
    dead = BlockWriter(job.url, 3)
    for _ in range(3):
        dead.append({"depth": np.zeros((9, 9), np.int8), "old": np.ones((4, 8), np.uint8)})
    dead.close()
    receipt = run_block(job, values, {})
    assert sorted(receipt.files) == ["data.zarr/depth/c/0/0/0", "data.zarr/depth/zarr.json", "data.zarr/zarr.json"]
    assert damage(job.url, receipt) == []
    assert strays(files_below(job.url), receipt) == ["data.zarr/old/c/0/0/0", "data.zarr/old/zarr.json"]
    reader = BlockReader(job.url, receipt.files)
    assert reader.names == ("depth",)
    np.testing.assert_array_equal(reader.item(2)["depth"], np.full((4, 8), 2, np.float32))
    clean = run_block(job_in(tmp_path / "clean", 3), values, {})
    assert receipt.files == clean.files


def test_arrays_of_zeros_are_written_and_named(tmp_path: Path) -> None:
    receipt = run_block(job_in(tmp_path, 2), lambda *_: Output({"sky": np.zeros((4, 8), bool)}), {})
    assert "data.zarr/sky/c/0/0/0" in receipt.files


def test_a_reader_that_finds_damage_withdraws_the_receipt(tmp_path: Path) -> None:
    first = job_in(tmp_path, 2, "project")
    receipt = run_block(first, values, {})
    second = job_in(tmp_path, 2, reads=first.stage)
    chunk = Path(first.url, "data.zarr", "depth", "c", "0", "0", "0")
    whole = chunk.read_bytes()
    chunk.unlink()
    with pytest.raises(DamagedBlock, match="its receipt is withdrawn, so that the next run makes it again"):
        Upstream(second, first.stage).item(0)
    assert read_receipt(first.url) is None
    assert run_block(first, values, {}).files == receipt.files
    assert chunk.read_bytes() == whole


def test_other_values_that_can_be_read_are_damage_too(tmp_path: Path) -> None:
    first = job_in(tmp_path, 2, "project")
    run_block(first, values, {})
    group = zarr.open_group(Path(first.url, "data.zarr"), mode="r+")
    group["depth"][0] = np.full((4, 8), 7, np.float32)  # sound to Zarr, and not what the stage made
    second = job_in(tmp_path, 2, reads=first.stage)
    with pytest.raises(DamagedBlock, match="the arrays of p00 are not those that were stored"):
        Upstream(second, first.stage).item(0)
    assert read_receipt(first.url) is None


def test_a_receipt_of_data_made_again_stays(tmp_path: Path) -> None:
    job = job_in(tmp_path, 1)
    old = run_block(job, values, {})
    run_block(job, lambda *_: Output({"depth": np.ones((4, 8), np.float32)}), {})
    withdraw(job.url, old)
    assert read_receipt(job.url) is not None
    withdraw(job.url, read_receipt(job.url))
    assert read_receipt(job.url) is None
