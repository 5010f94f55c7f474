"""Whether what was made from a store's blocks is sound too: published versions, trainings and their checkpoints.

Nothing here is withdrawn: a training cost days, and a published version is somebody's data set by now.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from types import ModuleType

from configs.pipeline import Config
from flows.stores.items import Broken
from flows.stores.needed import made_models
from flows.stores.stored import stored_plan
from storage.published import plain as published
from storage.published.contents import ICECHUNK
from storage.receipts import block_url, damage, read_receipt, receipt_files, strays
from storage.urls import children, files_below, join, read_bytes


def verify_others(config: Config) -> Iterator[tuple[int, Broken | None]]:
    """Read back what lies in the store of a config beside its blocks; as :func:`flows.stores.items.verify_store`."""
    yield from _published(config.root)
    yield from _models(config)
    yield from _checkpoints(config.root)


def find_strays(config: Config) -> dict[str, list[str]]:
    """Files in finished blocks that are no part of them, by the block's URL. Nobody reads them."""
    found = {}
    for stage in stored_plan(config).definitions:
        for name in receipt_files(stage.root, stage.name, stage.identity.fingerprint):
            url = stage.block_url(name)
            if (receipt := read_receipt(url)) and (names := strays(files_below(url), receipt)):
                found[url] = names
    return found


def _published(root: str) -> Iterator[tuple[int, Broken | None]]:
    for name in children(join(root, "published")):
        folder = join(root, "published", name)
        if name.endswith(ICECHUNK):
            from storage.published import icechunk as published_icechunk  # an optional library

            keeper: ModuleType = published_icechunk
        else:
            keeper = published
        for record in keeper.versions(folder):
            problems = keeper.check_version(folder, record["version"])
            what = Broken(f"published {name}", record["version"], problems, "publish it again from sound labels")
            yield record["bytes"], what if problems else None


def _models(config: Config) -> Iterator[tuple[int, Broken | None]]:
    """Models that other configs, or this one as it was before, made in the store."""
    now = {(stage.name, stage.identity.fingerprint) for stage in stored_plan(config).definitions}
    for stage, fingerprint in sorted(set(made_models(config.root)) - now):
        for block in receipt_files(config.root, stage, fingerprint):
            url = block_url(config.root, stage, fingerprint, block)
            receipt = read_receipt(url)
            problems = damage(url, receipt) if receipt else ["receipt.json: cannot be read"]
            fix = f"restore it from a copy, or remove {join(url, 'receipt.json')} to train again"
            yield receipt.bytes if receipt else 0, Broken(stage, block, problems, fix) if problems else None


def _checkpoints(root: str) -> Iterator[tuple[int, Broken | None]]:
    """Checkpoints of trainings that are not finished: zip archives, which know their own sums."""
    folder = join(root, "checkpoints")
    for name, info in files_below(folder).items():
        if name.endswith(".pt"):
            problem = _damage_of_zip(read_bytes(join(folder, name)))
            fix = "remove it; the training goes on from the one before"
            yield info.get("size") or 0, Broken("checkpoint", name, [problem], fix) if problem else None


def _damage_of_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            torn = archive.testzip()
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, NotImplementedError) as error:
        return f"cannot be read: {error}"
    return f"{torn}: its bytes are not those that were written" if torn else ""
