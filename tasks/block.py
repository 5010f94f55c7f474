"""One stage over one block: the loop that every stage shares, and the Prefect task around it.

A stage gives a function of one item. This module streams the items of a block through it, quarantines those that fail with
a reason, and writes the receipt last.
"""

from __future__ import annotations

import errno
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray
from prefect import task
from prefect.tasks import Task

from configs.schema import Config
from storage.arrays import BlockReader, BlockWriter
from storage.fingerprint import Identity, digest
from storage.manifest import Block, Item
from storage.receipts import ItemRow, Receipt, block_url, digest_files, drop_receipt, read_receipt, write_receipt
from storage.urls import read_bytes
from tasks.images import BadImage, decode_panorama

REPORTED_VERSIONS = ("panolabel", "torch", "transformers", "zarr", "opencv-python-headless", "numpy", "prefect")


class BadItem(ValueError):
    """This item cannot be processed; the message is the reason for its quarantine. The rest of the block goes on."""


@dataclass(frozen=True)
class Job:
    """One block of one stage, and all that is needed to make it, on any worker."""

    config: Config
    identity: Identity
    block: Block
    run: str

    @property
    def url(self) -> str:
        """Where the block's data and receipt go."""
        return block_url(self.config.root, self.identity.stage, self.identity.fingerprint, self.block.name)

    @property
    def key(self) -> str:
        """Fingerprint + contents of the block: the key of the cache, of the store and of Prefect."""
        return f"{self.identity.stage}-{self.identity.fingerprint}-{self.block.name}"

    def upstream_url(self, stage: str) -> str:
        """Where the same block of a stage that this one reads lies."""
        return block_url(self.config.root, stage, self.identity.upstream[stage], self.block.name)


@dataclass(frozen=True)
class Output:
    """What a stage makes of one item: arrays for the store, and figures for the receipt."""

    arrays: Mapping[str, NDArray] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


ItemFunction = Callable[[int, Item], Output]
"""Slot and item -> output; raises BadItem (or another ValueError) to give the item up."""


class Upstream:
    """A finished block of an earlier stage, as its readers see it."""

    def __init__(self, job: Job, stage: str) -> None:
        self.url = job.upstream_url(stage)
        receipt = read_receipt(self.url)
        if receipt is None:
            raise RuntimeError(f"{self.url}: has no receipt, so it may not be read; run the stage {stage} first")
        self.receipt = receipt
        self.stage = stage
        self._reader: BlockReader | None = None

    def item(self, slot: int) -> dict[str, NDArray]:
        """The arrays of one item; BadItem if the stage gave it up."""
        row = self.receipt.items[slot]
        if row.state == "quarantined":
            raise BadItem(row.reason if row.reason.startswith("at ") else f"at {self.stage}: {row.reason}")
        if self._reader is None:
            self._reader = BlockReader(self.url)
        return self._reader.item(slot)


def load_panorama(item: Item, config: Config) -> NDArray:
    """The (H, W, 3) uint8 pixels of an item; BadItem if the file is not the one that ``ingest`` saw."""
    try:
        data = read_bytes(item.uri)
    except FileNotFoundError as error:
        raise BadItem(f"{item.uri}: the file is gone since it was ingested") from error
    if digest(data) != item.digest:
        raise BadItem(f"{item.uri}: the file changed while the run was going; run again to ingest it anew")
    try:
        return decode_panorama(data, config.ingest)
    except BadImage as error:
        raise BadItem(str(error)) from error


def run_block(job: Job, compute: ItemFunction, about: Mapping[str, Any], weights: Mapping[str, str] | None = None) -> Receipt:
    """Stream the items of a block through ``compute`` and store what comes out; the receipt is written last.

    Parameters
    ----------
    job : Job
    compute : function of (slot, item)
    about : mapping
        Describes the outputs for later stages; read after the last item, so ``compute`` may fill it in.
    weights : mapping, optional
        Digests of the weights in use, checked against the fingerprint's.

    Raises
    ------
    RuntimeError
        The weights in use are not those that the fingerprint names.
    """
    if weights is not None and dict(weights) != dict(job.identity.weights):
        planned = dict(job.identity.weights)
        raise RuntimeError(f"{job.key}: weights in use {dict(weights)} are not those planned {planned}; plan again")
    started = time.time()
    drop_receipt(job.url)
    writer = BlockWriter(job.url, len(job.block.items))
    rows = []
    for slot, item in enumerate(job.block.items):
        try:
            output = compute(slot, item)
        except ValueError as error:
            writer.append(None)
            rows.append(ItemRow(item.item, "quarantined", str(error)))
        else:
            writer.append(output.arrays)
            rows.append(ItemRow(item.item, "done", "", output.figures))
    writer.close()
    receipt = Receipt(
        job.identity.stage,
        job.identity.fingerprint,
        job.block.name,
        rows,
        digest_files(job.url),
        dict(about),
        _made(job, started),
    )
    write_receipt(job.url, receipt)
    return receipt


def _made(job: Job, started: float) -> dict[str, Any]:
    return {
        "run": job.run,
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "device": job.config.execution.device,
        "process": os.getpid(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in REPORTED_VERSIONS},
        "identity": job.identity.as_json(),
    }


def block_task(function: Callable[[Job], Receipt]) -> Task:
    """The Prefect task of a stage: one run a block, keyed like the block, retried when the store fails in passing.

    The receipt is the truth of whether a block exists, so a task that is submitted always runs (``refresh_cache``); its key
    in Prefect is the block's own.
    """
    return task(
        task_run_name="{job.identity.stage} {job.block.name}",
        cache_key_fn=lambda _, parameters: parameters["job"].key,
        refresh_cache=True,
        persist_result=True,
        retries=2,
        retry_delay_seconds=[1, 5],
        retry_jitter_factor=0.5,
        retry_condition_fn=_passing_fault,
        log_prints=False,
    )(function)


def _passing_fault(_task: Any, _run: Any, state: Any) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EACCES, errno.ENOENT, errno.EROFS)
