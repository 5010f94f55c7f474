"""Rows that are copied: the bytes of a block made anew, only what is sound, and never past what an earlier stage gave up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.arrays import BlockReader
from storage.items import Block, Item
from storage.receipts import Receipt, as_stored, damage, read_receipt
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.reuse.rows import known_rows
from tasks.stage.upstream import Upstream
from tests.tasks.stage.test_block import job_in, values

COUNT = 20  # more than a shard holds


def changed(job: Job, *slots: int) -> Job:
    """The job of the block once the files of some items are others."""
    items = [replace(item, digest=f"{slot + 900:064x}") if slot in slots else item for slot, item in enumerate(job.block.items)]
    return replace(job, block=Block(0, tuple(items)))


def copying(job: Job, *receipts: Receipt) -> Job:
    copies = known_rows(job.stage, [job.block], {one.block: one for one in receipts})
    return replace(job, copies=copies.get(job.block.name, {}))


class Made:
    """Counts what is made."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def __call__(self, item: Item, _inputs: Any = None) -> Output:
        self.items.append(item.item)
        return Output(values(item).values, {"mean": 0.1 + int(item.item[1:]), "pair": [1, 2]})


def test_only_what_changed_is_made_and_the_bytes_are_those_of_a_block_made_anew(tmp_path: Path) -> None:
    first, made = job_in(tmp_path, COUNT), Made()
    before = run_block(first, made, {"classes": ("a",)})
    job, made = copying(changed(first, 3), before), Made()
    receipt = run_block(job, made, {"classes": ("a",)})
    assert made.items == ["p03"]
    assert receipt.made["copied"] == [{"block": first.block.name, "rows": COUNT - 1, "run": "run", "device": "cpu"}]
    assert receipt.copied == COUNT - 1
    anew = run_block(changed(job_in(tmp_path / "anew", COUNT), 3), Made(), {"classes": ("a",)})
    assert (receipt.files, receipt.items, receipt.about) == (anew.files, anew.items, anew.about)
    assert read_receipt(job.url) == as_stored(receipt)


def test_if_all_rows_are_copied_nothing_is_asked_of_what_makes_them(tmp_path: Path) -> None:
    first = job_in(tmp_path, 3)
    named = tuple(replace(item, item=f"q{slot}", metadata={"new": 1}) for slot, item in enumerate(first.block.items))
    kind = replace(first.stage.kind, facts=lambda _settings, _inputs: ())
    blind = replace(first, stage=replace(first.stage, kind=kind))
    before = run_block(blind, values, {"classes": ["a"]})
    job = copying(replace(blind, block=Block(0, named)), before)
    assert job.all_copied

    def nobody(*_: Any) -> Any:
        raise AssertionError("nothing is to be made")

    receipt = run_block(job, nobody, nobody, read=nobody, encode=nobody)
    assert (receipt.files, receipt.about) == (before.files, before.about)
    assert [row.item for row in receipt.items] == ["q0", "q1", "q2"]


def test_a_block_whose_rows_stay_in_their_slots_is_copied_without_decoding_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, made = job_in(tmp_path, COUNT), Made()
    kind = replace(first.stage.kind, facts=lambda _settings, _inputs: ())
    blind = replace(first, stage=replace(first.stage, kind=kind))
    before = run_block(blind, made, {"classes": ["a"]})
    told = tuple(replace(item, metadata={"new": 1}) for item in first.block.items)
    job = copying(replace(blind, block=Block(7, told)), before)
    with monkeypatch.context() as patch:
        patch.setattr(BlockReader, "item", lambda *_: pytest.fail("a row was decoded"))
        receipt = run_block(job, made, {"classes": ["a"]})
    assert (receipt.copied, receipt.files) == (COUNT, before.files)
    assert receipt.made["copied"] == [{"block": first.block.name, "rows": COUNT, "run": "run", "device": "cpu"}]
    assert [(row.item, row.digest, row.figures) for row in receipt.items] == [
        (row.item, row.digest, row.figures) for row in before.items
    ]
    assert not damage(job.url, receipt)
    for slot in range(COUNT):
        for name, array in BlockReader(job.url, receipt.files).item(slot).items():
            np.testing.assert_array_equal(array, values(first.block.items[slot]).values[name])


@pytest.mark.parametrize("change", ["flip", "order", "told otherwise"])
def test_a_block_is_not_copied_whole_where_a_row_is_another(tmp_path: Path, change: str) -> None:
    first, made = job_in(tmp_path, 3), Made()
    kind = replace(first.stage.kind, facts=lambda _settings, _inputs: ())
    blind = replace(first, stage=replace(first.stage, kind=kind))
    before, items = run_block(blind, values, {}), list(first.block.items)
    if change == "flip":
        chunk = Path(first.url, "data.zarr", "depth", "c", "0", "0", "0")
        chunk.write_bytes(bytes(len(chunk.read_bytes())))
    told = tuple(replace(item, metadata={"new": 1}) for item in (items[::-1] if change == "order" else items))
    job = copying(replace(blind, block=Block(7, told)), before)
    assert job.all_copied
    holds = (lambda item, _row: item.item != "p01") if change == "told otherwise" else (lambda _item, _row: True)
    receipt = run_block(job, made, {}, holds=holds)
    assert made.items == {"flip": ["p00", "p01", "p02"], "order": [], "told otherwise": ["p01"]}[change]
    anew = run_block(replace(blind, stage=replace(blind.stage, root=str(tmp_path / "anew")), block=Block(7, told)), values, {})
    assert receipt.files == anew.files


@pytest.mark.parametrize("harm", ["flip", "delete", "receipt", "folder"])
def test_damaged_rows_are_made_anew(tmp_path: Path, harm: str) -> None:
    first, made = job_in(tmp_path, 3), Made()
    before = run_block(first, values, {})
    job = copying(changed(first, 0), before)
    chunk = Path(first.url, "data.zarr", "depth", "c", "0", "0", "0")
    if harm == "flip":
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(data)
    elif harm == "delete":
        chunk.unlink()
    elif harm == "receipt":
        Path(first.url, "receipt.json").unlink()
    else:
        chunk.parents[2].rename(tmp_path / "elsewhere")
    receipt = run_block(job, made, {})
    assert sorted(made.items)[0] == "p00"
    assert len(made.items) == 3 - receipt.copied
    assert receipt.files == run_block(changed(job_in(tmp_path / "anew", 3), 0), values, {}).files


def test_a_row_of_another_key_by_now_is_not_copied(tmp_path: Path) -> None:
    first, made = job_in(tmp_path, 2), Made()
    job = copying(changed(first, 0), run_block(first, values, {}))
    other = replace(
        job,
        copies={
            0: (first.block.name, 0),
            1: (first.block.name, 0),
        },
    )
    run_block(other, made, {})
    assert made.items == ["p00", "p01"]


def test_rows_that_were_given_up_are_tried_again(tmp_path: Path) -> None:
    def torn(item: Item, _inputs: Any) -> Output:
        if item.item == "p01":
            raise BadItem("torn")
        return values(item)

    first, made = job_in(tmp_path, 3), Made()
    run_block(copying(changed(first, 0), run_block(first, torn, {})), made, {})
    assert made.items == ["p00", "p01"]


def test_an_item_that_was_given_up_before_this_stage_is_not_copied_past_that(tmp_path: Path) -> None:
    first = job_in(tmp_path, 2, "label")
    second = job_in(tmp_path, 2, reads=first.stage)
    run_block(first, values, {})
    before = run_block(second, values, {})

    def torn(item: Item, _inputs: Any) -> Output:
        if item.item == "p01":
            raise BadItem("torn")
        return values(item)

    run_block(changed(first, 0), torn, {})
    job = copying(changed(second, 0), before)
    assert 1 in job.copies
    labels = Upstream(job, first.stage)
    receipt = run_block(job, values, {}, read=lambda slot, _item: labels.item(slot))
    assert [row.state for row in receipt.items] == ["done", "quarantined"]


def test_a_guarded_item_is_given_up_and_not_copied(tmp_path: Path) -> None:
    first = job_in(tmp_path, 2)
    job = replace(copying(changed(first, 0), run_block(first, values, {})), given_up={"p01": "killed its process twice"})
    assert not job.all_copied
    assert [row.state for row in run_block(job, values, {}).items] == ["done", "quarantined"]


def test_a_block_that_would_say_two_things_of_its_outputs_is_made_anew(tmp_path: Path) -> None:
    first, made = job_in(tmp_path, 3), Made()
    job = copying(changed(first, 0), run_block(first, values, {"unit": "metre"}))
    receipt = run_block(job, made, {"unit": "scale"})
    assert (receipt.about, receipt.copied, made.items) == ({"unit": "scale"}, 0, ["p00", "p00", "p01", "p02"])


def test_rows_without_arrays_are_copied_too(tmp_path: Path) -> None:
    def figures(item: Item, _inputs: Any) -> Output:
        return Output(figures={"abs_rel": int(item.item[1:]) / 7})

    first = job_in(tmp_path, 3, "evaluate")
    before = run_block(first, figures, {})
    receipt = run_block(copying(changed(first, 2), before), figures, {})
    assert (receipt.copied, receipt.files, receipt.items[:2]) == (2, {}, before.items[:2])


def test_arrays_of_a_copied_row_are_those_of_the_first(tmp_path: Path) -> None:
    """A copy of a copy: the row is followed from block to block by its key."""
    first = job_in(tmp_path, 2)
    one = run_block(first, values, {})
    two = copying(changed(first, 0), one)
    second = run_block(two, values, {})
    third = run_block(copying(changed(first, 0, 1), second), values, {})
    assert third.items[0] == second.items[0]
    assert np.unique([row.digest for row in third.items]).size == 2


def test_items_tried_again_leave_the_others_of_their_block_as_they_are(tmp_path: Path) -> None:
    """The rows that are done are copied from the block that is overwritten, shard after shard."""

    def torn(item: Item, _inputs: Any = None) -> Output:
        if item.item in ("p00", "p17"):
            raise BadItem("torn")
        return Made()(item)

    first, made = job_in(tmp_path, COUNT), Made()
    before = run_block(first, torn, {})
    job = copying(first, before)
    assert set(job.copies.values()) == {(first.block.name, slot) for slot in range(COUNT) if slot not in (0, 17)}
    receipt = run_block(job, made, {})
    assert made.items == ["p00", "p17"]
    assert receipt.made["copied"] == [{"block": first.block.name, "rows": COUNT - 2, "run": "run", "device": "cpu"}]
    anew = run_block(job_in(tmp_path / "anew", COUNT), Made(), {})
    assert (receipt.files, receipt.items) == (anew.files, anew.items)
    assert not damage(job.url, receipt)


def test_a_block_that_lost_its_receipt_half_way_goes_on_from_its_whole_shards(tmp_path: Path) -> None:
    first, made = job_in(tmp_path, COUNT), Made()
    job = replace(copying(first, run_block(first, Made(), {})), replaces="run")

    def killed(item: Item, _inputs: Any = None) -> Output:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_block(replace(job, copies={slot: at for slot, at in job.copies.items() if slot != 18}), killed, {})
    assert read_receipt(first.url) is None
    receipt = run_block(job, made, {})
    assert made.items == ["p16", "p17", "p18", "p19"]
    assert receipt.files == run_block(job_in(tmp_path / "anew", COUNT), Made(), {}).files


@pytest.mark.parametrize("file", ["depth/c/0/0/0", "depth/zarr.json", "zarr.json"])
def test_what_is_damaged_of_a_block_s_own_rows_is_made_anew(tmp_path: Path, file: str) -> None:
    first, made = job_in(tmp_path, 3), Made()
    job = copying(first, run_block(first, Made(), {}))
    Path(first.url, "data.zarr", file).write_bytes(b"no zarr")
    receipt = run_block(job, made, {})
    assert made.items == ["p00", "p01", "p02"]
    assert receipt.files == run_block(job_in(tmp_path / "anew", 3), Made(), {}).files
