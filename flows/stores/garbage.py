"""What a store holds and nothing needs, and its removal.

Needed is what ``flows.stores.needed`` says. In it, blocks that have a receipt are kept, and data without a receipt is left alone
while somebody may still be writing it: for a while after it was touched, and all the time while a run is going that makes such
data.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from configs.pipeline import Config
from flows.comparing.comparison import read_by_all, with_dropped
from flows.plan import Plan
from flows.stores.needed import Made, in_work, needed
from flows.stores.stored import stored_plan
from storage.receipts import DROPPED, FILE, blocks_with_receipts, drop_data, read_receipt, strays
from storage.urls import children, files_below, filesystem, join, remove
from tasks.ingest.stamps import changed_at
from tasks.stage.kind import Stage


@dataclass(frozen=True)
class Garbage:
    """A folder or file to remove, or patch labels whose data goes and whose receipt stays (``kind`` is ``labels``)."""

    url: str
    why: str
    bytes: int
    kind: Literal["folder", "block", "file", "labels"] = "folder"


def existing(stage: Stage) -> set[str]:
    """The blocks of a stage that exist, the receipt of each having been read."""
    return set(blocks_with_receipts(stage.root, stage.name, stage.identity.fingerprint))


def find_garbage(config: Config, keep_runs: int = 1, older_than_hours: float = 1.0) -> list[Garbage]:
    """Everything under the root's stages and checkpoints that may go.

    Parameters
    ----------
    config : Config
    keep_runs : int
        Fingerprints that the last so many runs of every config used are kept, and those of runs that may still be going.
    older_than_hours : float
        Data without a receipt goes only if nothing in it was touched for so long.
    """
    plan = stored_plan(config)
    kept, busy = needed(config, plan, keep_runs), in_work(config)
    manifests = {source.stage.name for source in plan.sources}
    found: list[Garbage] = []
    for stage in children(join(config.root, "stages")):
        if stage in manifests:
            continue  # they are small, and the order of everything else
        for fingerprint in children(join(config.root, "stages", stage)):
            url = join(config.root, "stages", stage, fingerprint)
            if (stage, fingerprint) not in kept:
                found.append(Garbage(url, "superseded: no config in use has this fingerprint", _bytes(url)))
            elif (stage, fingerprint) not in busy:
                found += _unfinished(url, time.time() - 3600 * older_than_hours)
    found += _tried(plan, busy)
    found += _checkpoints(config.root, {fingerprint for _, fingerprint in needed(config, plan, keep_runs, models=False)})
    return [*found, *_read_data(plan, busy)]


def _checkpoints(root: str, needed: set[str]) -> Iterator[Garbage]:
    """Checkpoints of trainings that were not finished, and that no config in use would go on with."""
    for fingerprint in children(join(root, "checkpoints")):
        if fingerprint not in needed:
            url = join(root, "checkpoints", fingerprint)
            yield Garbage(url, "superseded: no config in use goes on with these checkpoints", _bytes(url))


def collect(config: Config, garbage: list[Garbage]) -> None:
    """Remove what :func:`find_garbage` found; receipts go first, so that nothing half removed can be read."""
    for one in garbage:
        if one.kind == "labels":
            drop_data(one.url)
            continue
        if one.kind == "file":
            remove(one.url)
            continue
        if one.kind == "block" and read_receipt(one.url):
            continue  # somebody finished it since it was found
        for name in files_below(one.url):
            if name.endswith(FILE):
                remove(join(one.url, name))
        files, path = filesystem(one.url)
        files.rm(path, recursive=True)


def _unfinished(url: str, before: float) -> Iterator[Garbage]:
    """What writers left that died, and that nobody touched since ``before``, in seconds since the epoch."""
    for block in children(url):
        folder = join(url, block)
        infos = files_below(folder)
        if receipt := read_receipt(folder):
            for name in (name for name in strays(infos, receipt) if _touched(infos[name]) < before):
                yield Garbage(join(folder, name), "unfinished: no part of its block", infos[name].get("size") or 0, "file")
        elif DROPPED not in infos and infos and max(_touched(info) for info in infos.values()) < before:
            size = sum(info.get("size") or 0 for info in infos.values())
            yield Garbage(folder, "unfinished: data without a receipt", size, "block")


def _tried(plan: Plan, busy: set[Made]) -> Iterator[Garbage]:
    """Trial blocks, of some panoramas of a block, once the whole block is there."""
    own: dict[str, set[str]] = defaultdict(set)  # stages over several sources may be one
    for step in plan.steps:
        own[step.stage.identity.fingerprint] |= {block.name for block in step.blocks}
    for step in plan.steps:
        stage = step.stage
        if stage.kind.grain != "block" or not stage.owes or (stage.name, stage.identity.fingerprint) in busy:
            continue
        there = plan.receipts.existing(stage)
        whole = {block.name: {item.item for item in block.items} for block in step.blocks if block.name in there}
        of = {item: name for name, items in whole.items() for item in items}
        for name in sorted(there - own[stage.identity.fingerprint]):
            receipt = plan.receipts.get(stage, name)
            items = {row.item for row in receipt.items} if receipt else set()
            if items and items < whole.get(of.get(min(items), ""), set()):
                size = receipt.bytes if receipt else 0
                yield Garbage(stage.block_url(name), "trial: the whole block is there", size)


def _touched(info: dict[str, Any]) -> float:
    """When a file was last written; the local clock's now where the store does not say."""
    seconds = changed_at(info)
    return time.time() if seconds is None else seconds


def _read_data(plan: Plan, busy: set[Made]) -> Iterator[Garbage]:
    """Data of blocks that a stage keeps until they are read, once they are, and that no run reads now."""
    there = {step.key: existing(step.stage) for step in plan.steps}
    satisfied = with_dropped(plan.steps, there)
    for step in plan.steps:
        stage = step.stage
        if stage.keeps_data or not stage.owes or (stage.name, stage.identity.fingerprint) in busy:
            continue
        read = read_by_all(plan.steps, stage, satisfied)
        for block in sorted(there[step.key] & read):
            if receipt := read_receipt(stage.block_url(block)):
                yield Garbage(stage.block_url(block), "read by all that read it, and kept until then", receipt.bytes, "labels")


def _bytes(url: str) -> int:
    return sum(info.get("size") or 0 for info in files_below(url).values())
