"""What a store holds and nothing needs, and its removal.

Needed are the fingerprints of this config, and of the last runs of every config that used the store. In them, blocks of the
manifest that have a receipt are kept, and data without a receipt is left alone while somebody may still be writing it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from configs.schema import Config
from flows.plan import Plan, read_by_all
from flows.stored import stored_plan
from storage import attempts
from storage.receipts import DROPPED, FILE, block_url, blocks_with_receipts, drop_data, read_receipt
from storage.runs import read_run, run_names
from storage.urls import children, files_below, filesystem, join, remove

OURS = {FILE, DROPPED, attempts.FILE}
LONGEST_RUN = 7 * 86400  # seconds; a run that says "running" for longer was killed


@dataclass(frozen=True)
class Garbage:
    """A folder or file to remove, or patch labels whose data goes and whose receipt stays (``kind`` is ``labels``)."""

    url: str
    why: str
    bytes: int
    kind: Literal["folder", "file", "labels"] = "folder"


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
    wanted = {(stage.name, stage.identity.fingerprint) for stage in plan.definitions}
    needed = wanted | _used_by_runs(config.root, keep_runs)
    found: list[Garbage] = []
    for stage in children(join(config.root, "stages")):
        if stage in ("ingest", "train"):
            continue  # manifests are small, and the order of everything else; checkpoints of trainings have no receipt yet
        for fingerprint in children(join(config.root, "stages", stage)):
            url = join(config.root, "stages", stage, fingerprint)
            if (stage, fingerprint) not in needed:
                found.append(Garbage(url, "superseded: no config in use has this fingerprint", _bytes(url)))
            else:
                found += _unfinished(url, time.time() - 3600 * older_than_hours)
    found += _checkpoints(config.root, {fingerprint for _, fingerprint in needed})
    if not config.execution.keep_patch_labels:
        found += _fused_labels(config, plan)
    return found


def _checkpoints(root: str, needed: set[str]) -> Iterator[Garbage]:
    """Checkpoints of adaptations that were not finished, and that no config in use would go on with."""
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
        for name in files_below(one.url):
            if name.endswith(FILE):
                remove(join(one.url, name))
        files, path = filesystem(one.url)
        files.rm(path, recursive=True)


def _used_by_runs(root: str, keep_runs: int) -> set[tuple[str, str]]:
    used: set[tuple[str, str]] = set()
    seen: dict[str, int] = {}
    for name in reversed(run_names(root)):
        record = read_run(root, name)
        if not record.get("identities"):
            continue  # it failed before it had a plan, so it used nothing, and the run before it still counts
        config = record["config"]["name"]
        seen[config] = seen.get(config, 0) + 1
        age = time.time() - datetime.fromisoformat(record["started"]).timestamp()
        if seen[config] <= keep_runs or (record["state"] == "running" and age < LONGEST_RUN):
            used |= {(stage, one["fingerprint"]) for stage, one in record["identities"].items()}
    return used


def _unfinished(url: str, before: float) -> Iterator[Garbage]:
    """What writers left that died, and that nobody touched since ``before``, in seconds since the epoch."""
    for block in children(url):
        folder = join(url, block)
        infos = files_below(folder)
        if receipt := read_receipt(folder):
            strays = infos.keys() - receipt.files.keys() - OURS
            for name in sorted(name for name in strays if _touched(infos[name]) < before):
                yield Garbage(join(folder, name), "unfinished: no part of its block", infos[name].get("size") or 0, "file")
        elif DROPPED not in infos and infos and max(_touched(info) for info in infos.values()) < before:
            yield Garbage(folder, "unfinished: data without a receipt", sum(info.get("size") or 0 for info in infos.values()))


def _touched(info: dict[str, Any]) -> float:
    """When a file was last written; the local clock's now where the store does not say."""
    stamp = info.get("mtime", info.get("LastModified", info.get("created")))
    if isinstance(stamp, datetime):
        return stamp.timestamp()
    return float(stamp) if stamp is not None else time.time()


def _fused_labels(config: Config, plan: Plan) -> Iterator[Garbage]:
    """Patch labels whose fused block has its receipt, and its audit where there is one."""
    for stage in plan.definitions:
        if not stage.name.startswith("label."):
            continue
        fused = read_by_all(config, plan.definitions, stage.name)
        for block in blocks_with_receipts(config.root, stage.name, stage.identity.fingerprint):
            url = block_url(config.root, stage.name, stage.identity.fingerprint, block)
            if block in fused and (receipt := read_receipt(url)):
                yield Garbage(url, "patch labels: fused, and execution.keep_patch_labels is false", receipt.bytes, "labels")


def _bytes(url: str) -> int:
    return sum(info.get("size") or 0 for info in files_below(url).values())
