"""Models that stages read: of another stage, or from outside the pipeline by folder, URL or hub id."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from storage.fingerprint import canonical_json, digest
from storage.receipts import Receipt, read_receipt
from storage.urls import join
from tasks.stage.job import Job
from tasks.stage.kind import HUB, Inputs, Outside, Stage
from tasks.stage.upstream import open_block

MODEL = "model"
"""Name of the input, and of the model's folder below the block of a stage that gives one."""
READ = "models"
"""What a receipt calls the digests of the models that were read for it."""


def outside_url(reference: str) -> str:
    """Where a model from outside lies: a folder or URL as it is, ``owner/name`` on the hub if there is no such folder."""
    is_hub_id = reference.count("/") == 1 and not reference.startswith((".", "~", "/")) and not os.path.exists(reference)
    return f"{HUB}{reference}" if is_hub_id else reference


def outside_model(inputs: Inputs) -> str | None:
    """The URL of the model, if it comes from outside."""
    (found,) = inputs[MODEL]
    return outside_url(found.reference) if isinstance(found, Outside) else None


def made_model(stage: Stage, block: str) -> tuple[str, Receipt]:
    """Folder of the model that a stage made as one of its blocks, and the receipt that names its files."""
    url, receipt = open_block(stage, block)
    return join(url, MODEL), receipt


def model_url(job: Job) -> str:
    """Folder of the model that a job reads."""
    outside = outside_model(job.stage.inputs)
    if outside is not None:
        return outside
    read = job.input(MODEL)
    return made_model(read, job.stage.block_of(read, job.block.name))[0]


def about_models(job: Job) -> dict[str, Any]:
    """What a receipt says of the models that stages made and that were read for it; of others the identity has the digests."""
    found = models_now(job.stage)
    return {READ: found} if found else {}


def models_now(stage: Stage) -> Mapping[str, str]:
    """Digest of each model that a stage reads from another one, as it is in the store now; those not made yet are left out."""
    found = {}
    for name, inputs in stage.inputs.items():
        for read in inputs:
            if isinstance(read, Stage) and read.kind.gives == MODEL:
                receipt = read_receipt(read.block_url(stage.block_of(read, "")))
                if receipt is not None:
                    found[name] = digest_of_files(receipt)
    return found


def digest_of_files(receipt: Receipt) -> str:
    """One digest of the files of the model that a receipt names."""
    own = {name: entry["sha256"] for name, entry in receipt.files.items() if name.startswith(f"{MODEL}/")}
    return digest(canonical_json(own))
