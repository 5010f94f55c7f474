"""One stage over one block: the loop that every stage shares.

A stage gives functions of one item. This module streams the items of a block through them, quarantines those that fail with
a reason, and writes the receipt last.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from configs.schema import Config
from storage.arrays import BlockReader, BlockWriter, arrays_digest, damaged
from storage.credentials import mask_credentials
from storage.fingerprint import Identity, digest
from storage.manifest import Block, Item
from storage.receipts import ItemRow, Receipt, block_url, drop_receipt, read_receipt, refuse_unwritten, write_receipt
from storage.urls import read_bytes, settle
from tasks.ingest.images.bands import vertical_degrees
from tasks.ingest.images.decode import BadImage, Panorama, open_panorama
from tasks.stage.code import code_digest
from tasks.stage.overlap import Background, prefetch

READ_AHEAD = 2  # items between reading and computing
WRITE_BEHIND = 2  # items between computing and writing
REPORTED_VERSIONS = ("panolabel", "torch", "transformers", "zarr", "opencv-python-headless", "numpy", "prefect")


class BadItem(ValueError):
    """This item cannot be processed; the message is the reason for its quarantine. The rest of the block goes on.

    Nothing else quarantines: any other exception is a fault of the code, of the config or of the store, and fails the block.
    ``given_up_at`` names the earlier stage that gave the item up, if one did.
    """

    def __init__(self, reason: str, given_up_at: str = "") -> None:
        super().__init__(mask_credentials(reason))
        self.given_up_at = given_up_at


@dataclass(frozen=True)
class Job:
    """One block of one stage, and all that is needed to make it, on any worker.

    ``code`` is the digest of the code that planned it; a worker with other code refuses. ``guarded`` asks for a process of its
    own, in which ``journal`` names the file that says which item is in hand, and ``given_up`` the items that must not be tried,
    with the reason.
    """

    config: Config
    identity: Identity
    block: Block
    run: str
    code: str = field(default_factory=code_digest)
    guarded: bool = False
    journal: str = ""
    given_up: Mapping[str, str] = field(default_factory=dict)

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
    """What a stage makes of one item: values that its ``encode`` turns into arrays for the store, and figures for the receipt.

    ``files`` are the entries of those that it wrote into the block's folder itself (:func:`storage.receipts.write_file`).
    """

    values: Any = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Read = Callable[[int, Item], Any]
"""Slot and item -> what ``compute`` needs, fetched and decoded. Raises BadItem to give the item up; all else fails the block."""

Compute = Callable[[Item, Any], Output]
"""Item and what was read -> output; raises like Read."""

Encode = Callable[[Any], Mapping[str, NDArray]]
"""An output's values -> arrays of the same shapes and dtypes for every item."""


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
            raise BadItem(row.reason if row.inherited else f"at {self.stage}: {row.reason}", row.given_up_at or self.stage)
        if self._reader is None:
            self._reader = BlockReader(self.url, self.receipt.files)
        arrays = self._reader.item(slot)
        if row.digest and arrays_digest(arrays) != row.digest:
            raise damaged(self.url, f"the arrays of {row.item} are not those that were stored", self.receipt.files)
        return arrays


def load_panorama(item: Item, config: Config) -> Panorama:
    """The decoded panorama of an item; BadItem if ``ingest`` gave it up, or the file is not the one that it saw."""
    if item.reason:
        raise BadItem(item.reason)
    try:
        data = read_bytes(item.uri)
    except FileNotFoundError as error:
        raise BadItem(f"{item.uri}: the file is gone since it was ingested") from error
    if digest(data) != item.digest:
        raise BadItem(f"{item.uri}: the file changed while the run was going; run again to ingest it anew")
    try:
        return open_panorama(data, config.ingest, vertical_degrees(item.metadata))
    except BadImage as error:
        raise BadItem(str(error)) from error


def run_block(
    job: Job,
    compute: Compute,
    about: Mapping[str, Any],
    weights: Mapping[str, str] | None = None,
    read: Read = lambda _slot, _item: None,
    encode: Encode = dict,
    device: str = "cpu",
) -> Receipt:
    """Stream the items of a block through read, compute and encode, and store what comes out; the receipt is written last.

    Reading, computing, and encoding with writing each have a thread, with a few items between them: a device that computes
    waits neither for files nor for compression.

    Parameters
    ----------
    job : Job
    compute : function of (item, what ``read`` gave)
    about : mapping
        Describes the outputs for later stages; looked at after the last item, so ``compute`` may fill it in.
    weights : mapping, optional
        Digests of the weights in use, checked against the fingerprint's.
    read : function of (slot, item)
    encode : function of an output's values
    device : str, optional
        What ``compute`` ran on, for the receipt.

    Raises
    ------
    RuntimeError
        The weights or the code in use are not those that were planned.
    """
    _check_as_planned(job, weights)
    started = time.time()
    drop_receipt(job.url)
    writer = BlockWriter(job.url, len(job.block.items))
    rows = []
    digests: list[str] = []
    files: dict[str, Mapping[str, Any]] = {}

    def store(values: Any) -> None:
        arrays = None if values is None else encode(values)
        writer.append(arrays)
        digests.append("" if arrays is None else arrays_digest(arrays))

    # A guarded job keeps a journal of the item in hand, so nothing may be read ahead.
    ahead = 0 if job.journal else READ_AHEAD
    with Background(WRITE_BEHIND) as storing:
        for item, inputs in prefetch(partial(_read, job, read), job.block.items, ahead):
            try:
                output = compute(item, inputs())
            except BadItem as error:
                storing.submit(store, None)
                rows.append(ItemRow(item.item, "quarantined", str(error), given_up_at=error.given_up_at))
            else:
                storing.submit(store, output.values)
                rows.append(ItemRow(item.item, "done", "", output.figures))
                files |= output.files
    writer.close()
    settle(job.url)
    files = dict(sorted({**files, **writer.written}.items()))
    refuse_unwritten(job.url, files)
    rows = [replace(row, digest=found) for row, found in zip(rows, digests, strict=True)]
    identity, made = job.identity, _made(job, started, device)
    receipt = Receipt(identity.stage, identity.fingerprint, job.block.name, rows, files, dict(about), made)
    write_receipt(job.url, receipt)
    return receipt


def _check_as_planned(job: Job, weights: Mapping[str, str] | None) -> None:
    if job.code != code_digest():
        raise RuntimeError(
            f"{job.key}: this worker runs other code ({code_digest()}) than the flow that planned the block ({job.code}); "
            "install the same version of panolabel on every worker"
        )
    if weights is not None and dict(weights) != dict(job.identity.weights):
        planned = dict(job.identity.weights)
        raise RuntimeError(f"{job.key}: weights in use {dict(weights)} are not those planned {planned}; plan again")


def _read(job: Job, read: Read, slot: int, item: Item) -> Any:
    if job.journal:
        Path(job.journal).write_text(item.item, encoding="utf-8")
    if item.item in job.given_up:
        raise BadItem(job.given_up[item.item])
    return read(slot, item)


@cache
def _versions() -> dict[str, str]:
    """Versions of libraries that outputs depend on; reading them takes longer than a small block's receipt."""
    return {name: version(name) for name in REPORTED_VERSIONS}


def _made(job: Job, started: float, device: str) -> dict[str, Any]:
    return {
        "run": job.run,
        "code": job.code,
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "device": device,
        "process": os.getpid(),
        "python": platform.python_version(),
        "versions": dict(_versions()),
        "identity": job.identity.as_json(),
    }
