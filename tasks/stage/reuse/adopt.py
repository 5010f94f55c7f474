"""Early cut-off: a block whose inputs are alike, though their stages have other fingerprints, is copied instead of made.

The copy is a block like any other, with files and receipt of its own, so whoever reads, verifies, publishes or collects blocks
need not know of it; its receipt names the block that it equals.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from storage.arrays import DATA
from storage.entries import copy_files, refuse_unwritten
from storage.fingerprint import canonical_json, digest
from storage.receipts import Receipt, read_receipt, write_receipt
from storage.records.accepted import read_accepted
from storage.urls import settle
from tasks.stage.job import Job
from tasks.stage.reuse.rows import row_keys

ADOPTED = "adopted"
"""What ``made`` of a receipt calls the block that was copied: stage, fingerprint and name, with slashes between them."""

ACCEPTED = "accepted"
"""What ``made`` calls the word of somebody that a change of the stage cannot change its output."""


def seen_by_readers(receipt: Receipt) -> str:
    """Digest of all that a reader can see of a block: arrays and files, what is said of them, and what became of the items.

    How arrays are stored is no part of it, nor is who made them, when, and by which code.
    """
    rows = [[row.item, row.state, row.reason, row.digest, row.given_up_at, row.figures] for row in receipt.items]
    undigested = any(row.state == "done" and not row.digest for row in receipt.items)  # no arrays, or an old receipt
    files = {name: one["sha256"] for name, one in receipt.files.items() if undigested or not name.startswith(f"{DATA}/")}
    return digest(canonical_json([rows, files, receipt.about]))


def adopt(job: Job) -> Receipt | None:
    """Copy the block that the job's own one equals; None if that is gone or damaged, so that its own must be made."""
    origin = read_receipt(job.adopts)
    if origin is None:
        return None
    started = time.time()
    if not copy_files(job.adopts, job.url, origin.files):
        return None
    settle(job.url)
    refuse_unwritten(job.url, origin.files)
    identity, made = job.identity, _made(job, origin, started)
    keys = row_keys(job.stage, job.block.items)
    rows = [replace(row, key=key if row.key else "") for row, key in zip(origin.items, keys, strict=True)]
    receipt = Receipt(identity.stage, identity.fingerprint, job.block.name, rows, origin.files, origin.about, made)
    write_receipt(job.url, receipt)
    return receipt


def _made(job: Job, origin: Receipt, started: float) -> dict[str, Any]:
    """Device and versions stay those that computed the bytes; run, time and identity are those of the copy.

    All of its rows are copied ones, so that nobody takes its seconds for those of making it.
    """
    accepted = read_accepted(job.stage.root, job.stage.name, job.identity.fingerprint)
    rows = sum(row.state == "done" for row in origin.items)
    return {
        **{name: value for name, value in origin.made.items() if name != ACCEPTED},
        "run": job.run,
        "code": job.code,
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "identity": job.identity.as_json(),
        "copied": [{"block": origin.block, "rows": rows, "run": origin.made["run"], "device": origin.made["device"]}],
        ADOPTED: origin.made.get(ADOPTED) or "/".join([origin.stage, origin.fingerprint, origin.block]),
        **({ACCEPTED: accepted} if accepted else {}),
    }
