"""One stage over one block: the loop that every stage shares.

A stage gives functions of one item. This module streams the items of a block through them, quarantines those that fail with
a reason, and writes the receipt last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from storage.arrays import SHARD_ITEMS, BlockWriter, arrays_digest
from storage.entries import refuse_unwritten
from storage.items import Item
from storage.receipts import Receipt, drop_receipt, write_receipt
from storage.records.forgotten import is_forgotten
from storage.rows import ItemRow
from storage.urls import settle
from tasks.stage.attempts.stopping import Stopped, out_of_time
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.joined import JOINED, Joined
from tasks.stage.making import About, Compute, Encode, Making, Read, as_stored, check_as_planned, made_of_block, made_with
from tasks.stage.overlap import Background, prefetch
from tasks.stage.reuse.copying import Copied, Copying, Holds
from tasks.stage.reuse.rows import row_keys
from tasks.stage.reuse.saved import Saved, Saving
from tasks.stage.spent import Spent

READ_AHEAD = 2  # items between reading and computing
WRITE_BEHIND = 2  # items between computing and writing


def run_block(
    job: Job,
    compute: Compute,
    about: About,
    weights: Mapping[str, str] | None = None,
    read: Read = lambda _slot, _item: None,
    encode: Encode = dict,
    device: str = "cpu",
    holds: Holds = lambda _item, _row: True,
    joined: Sequence[Joined] = (),
    path: str = "",
) -> Receipt:
    """Stream the items of a block through read, compute and encode, and store what comes out; the receipt is written last.

    Reading, computing, and encoding with writing each have a thread, with a few items between them: a device that computes
    waits neither for files nor for compression. Rows that ``job.copies`` names are copied in the place of all three.

    Parameters
    ----------
    job : Job
    compute : function of (item, what ``read`` gave)
    about : mapping or function of nothing
        Describes the outputs for later stages; looked at after the last item, so ``compute`` may fill it in. A function is called
        only if something was made.
    weights : mapping, optional
        Digests of the weights in use, checked against the fingerprint's.
    read : function of (slot, item)
    encode : function of an output's values
    device : str, optional
        What ``compute`` ran on, for the receipt.
    holds : function of (item, row), optional
        Whether a row may be copied that has the item's key.
    joined : sequence of Joined
        Those of the blocks that ``read`` reads that are made on the way.
    path : str, optional
        Which of several ways to the same output ``compute`` takes, for the receipt.

    Raises
    ------
    Stopped
        The run was asked to stop, and the block takes too long; its whole shards are saved.
    RuntimeError
        The weights or the code in use are not those that were planned.
    """
    return make_items(job, Making(compute, about, weights, read, encode, device, path=path), holds, joined)


def make_items(
    job: Job,
    by: Making,
    holds: Holds = lambda _item, _row: True,
    joined: Sequence[Joined] = (),
    reuse: bool = True,
) -> Receipt:
    """:func:`run_block`, for a stage that tells how its items are made; ``reuse`` goes on from rows of an earlier attempt."""
    check_as_planned(job, by.weights)
    started = time.time()
    keys = row_keys(job.stage, job.block.items)
    saving = Saving(job, keys, made_with(job, by.device, by.path), reuse)
    copying = Copying(job, keys, saving.before)
    _get_ready(job, joined, saving.before)
    if job.replaces:  # without it a receipt that is there by now is another run's, whose data are the same
        drop_receipt(job.url)
    written = _whole(job, copying, keys, holds) or _stream(job, by, copying, saving, keys, holds, joined)
    said = _said(copying, written, by)
    if copying.about not in (None, said):  # no block says two things of its outputs
        return make_items(replace(job, copies={}), by, holds, joined, reuse=False)
    refuse_unwritten(job.url, written.files)
    made = made_of_block(job, started, by.device, by.path) | written.spent.told()
    made |= {"copied": copied} if (copied := copying.told()) else {}
    made |= {JOINED: {one.stage.name: one.told() for one in joined}} if joined else {}
    identity = job.identity
    receipt = Receipt(identity.stage, identity.fingerprint, job.block.name, written.rows, written.files, said, made)
    for one in joined:
        one.leave(written.rows)
    write_receipt(job.url, receipt)
    saving.forget()
    return receipt


def _get_ready(job: Job, joined: Sequence[Joined], before: Saved) -> None:
    """Joined stages go on from what was saved; those that have to make items load what makes them."""
    for one in joined:
        if there := before.joined.get(one.stage.name):
            one.resume(there)
        if not job.all_copied:
            one.get_ready()


@dataclass
class _Written:
    """What became of the items of a block, and the files that were written; ``made`` counts what was not copied."""

    rows: list[ItemRow] = field(default_factory=list)
    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    made: int = 0
    spent: Spent = field(default_factory=Spent)


def _whole(job: Job, copying: Copying, keys: Sequence[str], holds: Holds) -> _Written | None:
    """All items of a block whose rows lie in one other block in the same order; None if that is not so."""
    source = copying.whole(holds)
    if source is None:
        return None
    settle(job.url)
    found = zip(job.block.items, source.items, keys, strict=True)
    rows = [ItemRow(item.item, "done", "", row.figures, row.digest, key=key) for item, row, key in found]
    return _Written(rows, dict(source.files))


def _stream(
    job: Job, by: Making, copying: Copying, saving: Saving, keys: Sequence[str], holds: Holds, joined: Sequence[Joined]
) -> _Written:
    """All items of a block, in order; their arrays are written, and settled, when it returns."""
    before, spent = saving.before, Spent()
    writer = BlockWriter(job.url, len(job.block.items), begun=before.begun)
    written = _Written([*before.rows], dict(before.files or {}), spent=spent)

    def store(row: ItemRow, values: Any, encode: Encode) -> None:
        arrays = None if values is None else encode(values)
        saved = writer.whole
        writer.append(arrays)
        written.rows.append(replace(row, digest="" if arrays is None else arrays_digest(arrays)))
        if saved < (whole := _worth_saving(writer, len(written.rows), len(job.block.items))):
            files = {**written.files, **writer.written}
            ahead = {one.stage.name: one.saved(whole) for one in joined}
            saving.save(Saved(written.rows[:whole], files, _said(copying, written, by), copying.told(), ahead))

    # A guarded job keeps a journal of the item in hand, so nothing may be read ahead.
    ahead = 0 if job.journal else READ_AHEAD
    read = partial(_read, job, copying, by.read, holds)
    with Background(WRITE_BEHIND) as storing:
        for number, (item, inputs) in enumerate(prefetch(read, job.block.items, ahead, len(before.rows)), len(before.rows)):
            if out_of_time():
                raise Stopped(f"left after {number} of {len(job.block.items)} items")
            try:
                output = _made_or_copied(by.compute, item, inputs, spent)
            except BadItem as error:
                bad = ItemRow(item.item, "quarantined", str(error), given_up_at=error.given_up_at)
                storing.submit(store, bad, None, by.encode)
                continue
            row = ItemRow(item.item, "done", figures=output.figures, key=keys[number])
            with spent.on("output"):
                if isinstance(output, Copied):
                    copying.count(output.source)
                    storing.submit(store, row, output.arrays, dict)
                else:
                    written.files |= output.files
                    written.made += 1
                    storing.submit(store, row, output.values, by.encode)
    writer.close()
    settle(job.url)
    written.files = dict(sorted({**written.files, **writer.written}.items()))
    return written


def _made_or_copied(compute: Compute, item: Item, inputs: Callable[[], Any], spent: Spent) -> Output | Copied:
    with spent.on("input"):
        found = inputs()
    if isinstance(found, Copied):
        return found
    with spent.on("compute"):
        return compute(item, found)


def _worth_saving(writer: BlockWriter, rows: int, items: int) -> int:
    """How many rows may be saved now: of a block that is nearly finished none, and without arrays as many as a shard has."""
    whole = writer.whole
    if whole >= items or (writer.is_empty and rows % SHARD_ITEMS):
        return 0
    return min(whole, rows)


def _said(copying: Copying, written: _Written, by: Making) -> Mapping[str, Any]:
    """What is said of a block; where nothing was made so far, what the blocks say that its rows were copied from."""
    return copying.about if copying.about is not None and not written.made else as_stored(by.about)


def make_whole(
    job: Job, make: Callable[[], Output], about: Mapping[str, Any], weights: Mapping[str, str] | None = None, device: str = "cpu"
) -> Receipt:
    """:func:`run_block` for a block that stands for others. It cannot be given up, so an error fails it."""
    for reason in job.given_up.values():
        raise RuntimeError(reason)

    def compute(_item: Item, _inputs: Any) -> Output:
        try:
            return make()
        except BadItem as error:
            raise RuntimeError(str(error)) from error

    return run_block(job, compute, about, weights, device=device)


def _read(job: Job, copying: Copying, read: Read, holds: Holds, slot: int, item: Item) -> Any:
    """What ``compute`` needs, or the item's row where that need not be made."""
    if job.journal:
        Path(job.journal).write_text(item.item, encoding="utf-8")
    if is_forgotten(item):  # no failure of whoever would read it first: nobody tried
        raise BadItem(item.reason, "ingest")
    if item.item in job.given_up:
        raise BadItem(job.given_up[item.item])
    copied = copying.row(slot)
    return copied if copied is not None and holds(item, copied.row) else read(slot, item)
