"""Rows that outlive a kill: the next attempt makes what was in no whole shard, and comes to the bytes of one that was let be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage import arrays
from storage.items import Item
from storage.receipts import ROWS, Receipt
from tasks.stage.attempts import stopping
from tasks.stage.attempts.stopping import Stopped, heeding
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output
from tests.tasks.stage.test_block import job_in

COUNT = 50


class Killed(RuntimeError):
    """Stands for a death: nothing after it is done."""


def large(number: int) -> dict[str, np.ndarray]:
    """Arrays of which a shard holds 16, and 5."""
    return {
        "small": np.full((4, 8), number, np.float32),
        "large": np.full((2, 150, 650), number, np.float32),
    }


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixteenth of what shards hold, of arrays that are a sixteenth as large: nothing else of it takes less."""
    monkeypatch.setattr(arrays, "SHARD_BYTES", arrays.SHARD_BYTES // 16)


class Maker:
    """Makes items, up to one at which it dies; counts them."""

    def __init__(self, dies_at: int = COUNT, bad: tuple[int, ...] = (), give: Any = large) -> None:
        self.dies_at, self.bad, self.give = dies_at, bad, give
        self.made: list[int] = []

    def __call__(self, item: Item, _inputs: Any) -> Output:
        number = int(item.item[1:])
        if number == self.dies_at:
            raise Killed
        if number in self.bad:
            raise BadItem("is bad")
        self.made.append(number)
        return Output(self.give(number), {"number": number})


def attempt(job: Job, maker: Maker, about: Any = None) -> Receipt:
    return run_block(job, maker, {"classes": ["a"]} if about is None else about)


def as_found(receipt: Receipt) -> tuple[Any, ...]:
    return receipt.files, list(receipt.items), receipt.about


@pytest.mark.parametrize("bad", [(), (0, 1, 2, 17), tuple(range(16))])
@pytest.mark.parametrize("dies_at", [18, 31, 47])
def test_what_is_in_whole_shards_is_not_made_again(tmp_path: Path, dies_at: int, bad: tuple[int, ...]) -> None:
    job = job_in(tmp_path / "killed", COUNT)
    with pytest.raises(Killed):
        attempt(job, Maker(dies_at, bad))
    again = Maker(bad=bad)
    receipt = attempt(job, again)
    whole = attempt(job_in(tmp_path / "whole", COUNT), Maker(bad=bad))
    assert as_found(receipt) == as_found(whole)
    first = min(again.made)
    assert dies_at - 16 <= first <= dies_at, "at most what lay in open shards, and on its way to the disk, is lost"
    assert not Path(job.url, ROWS).exists()


def test_rows_without_arrays_are_saved_too(tmp_path: Path) -> None:
    job = job_in(tmp_path / "killed", COUNT)
    with pytest.raises(Killed):
        attempt(job, Maker(40, give=lambda _number: {}))
    again = Maker(give=lambda _number: {})
    receipt = attempt(job, again)
    assert min(again.made) == 32
    assert as_found(receipt) == as_found(attempt(job_in(tmp_path / "whole", COUNT), Maker(give=lambda _number: {})))


@pytest.mark.parametrize("spoil", ["code", "device", "row", "shard", "torn"])
def test_rows_of_anything_else_are_made_again(tmp_path: Path, spoil: str) -> None:
    job = job_in(tmp_path, COUNT)
    with pytest.raises(Killed):
        attempt(job, Maker(40))
    rows = Path(job.url, ROWS)
    told = json.loads(rows.read_text())
    if spoil in ("code", "device"):
        told["made_with"][spoil] = "other"
    elif spoil == "row":
        told["rows"][0]["key"] = "0" * 32
    elif spoil == "shard":
        shard = Path(job.url, "data.zarr", "small", "c", "0", "0", "0")
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    rows.write_text(json.dumps(told) if spoil != "torn" else json.dumps(told)[:-100])
    again = Maker()
    attempt(job, again)
    assert again.made == list(range(COUNT))


def test_a_block_that_says_another_thing_of_its_outputs_is_made_whole(tmp_path: Path) -> None:
    job = job_in(tmp_path, COUNT)
    with pytest.raises(Killed):
        attempt(job, Maker(40))
    again = Maker()
    receipt = attempt(job, again, {"classes": ["b"]})
    assert receipt.about == {"classes": ["b"]}
    assert sorted(set(again.made)) == list(range(COUNT))


def test_a_block_that_takes_too_long_when_asked_to_stop_is_left_with_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "GRACE_SECONDS", 0.0)
    job = job_in(tmp_path, COUNT)
    maker = Maker()

    def ask(item: Item, inputs: Any) -> Output:
        if item.item == "p20":
            stopping.ask_to_stop()
        return maker(item, inputs)

    try:
        with heeding(job.stage.root, job.run), pytest.raises(Stopped, match="left after 21 of 50 items"):
            run_block(job, ask, {"classes": ["a"]})
    finally:
        stopping.go_on()
    again = Maker()
    attempt(job, again)
    assert min(again.made) in (15, 16)


def test_an_item_that_must_not_be_tried_is_given_up_though_its_row_was_saved(tmp_path: Path) -> None:
    job = job_in(tmp_path, COUNT)
    with pytest.raises(Killed):
        attempt(job, Maker(40))
    receipt = attempt(replace(job, given_up={"p03": "killed its process twice"}), Maker())
    assert receipt.row("p03").state == "quarantined"
