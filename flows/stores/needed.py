"""What of a store is still needed, by whom: the fingerprints that ``gc`` keeps.

A run needs what it makes; a training or an adaptation, however it is kept, needs all that it was made from.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from configs.pipeline import Config
from flows.plan import Plan
from storage.receipts import block_url, read_dropped, read_receipt, receipt_files
from storage.records.runs import read_runs
from storage.urls import children, join
from tasks.earlier import stage_read
from tasks.stage.models import MODEL

LONGEST_RUN = 7 * 86400  # seconds; a run on another machine that says "running" for longer was killed
IN_A_STORE = re.compile(r"/stages/([^/]+)/([0-9a-f]{16})(?:/|$)")

Made = tuple[str, str]
"""A stage and a fingerprint."""


def needed(config: Config, plan: Plan, keep_runs: int, models: bool = True) -> set[Made]:
    """What this config needs, the last ``keep_runs`` runs and trials of every config, what is going, and all kept trainings."""
    own = [stage for stage in plan.definitions if stage.root == config.root]
    found = {(stage.name, stage.identity.fingerprint) for stage in own}
    upstream = {(stage.name, stage.identity.fingerprint): _made(stage.identity.upstream) for stage in own}
    found |= set(_named_in(config.model_dump(mode="json")))
    seen: dict[tuple[str, bool], int] = {}
    for record in read_runs(config.root):
        if not record.get("identities"):
            continue  # it failed before it had a plan, so it used nothing, and the run before it still counts
        name = (record["config"]["name"], bool(record.get("trial")))  # a trial does not take the place of a run
        seen[name] = seen.get(name, 0) + 1
        if seen[name] <= keep_runs or is_going(record):
            found |= _used_by(record, upstream)
    found |= set(made_models(config.root)) if models else set()
    return _with_upstream(config.root, found, upstream)


def in_work(config: Config) -> set[Made]:
    """What runs need that are going now."""
    upstream: dict[Made, set[Made]] = {}
    going = [_used_by(record, upstream) for record in read_runs(config.root) if record.get("identities") and is_going(record)]
    return _with_upstream(config.root, set().union(*going), upstream)


def is_going(record: Mapping[str, Any]) -> bool:
    """Whether the run of a record is going: its process lives, or, on another machine, it may."""
    if record["state"] != "running":
        return False
    if record.get("host") == platform.node() and os.path.isdir("/proc/self"):
        return os.path.isdir(f"/proc/{record['process']}")
    return time.time() - datetime.fromisoformat(record["started"]).timestamp() < LONGEST_RUN


def _used_by(record: Mapping[str, Any], upstream: dict[Made, set[Made]]) -> set[Made]:
    """What a run used; notes what that was made from."""
    own = {
        (one.get("stage", key), one["fingerprint"]): _made(one.get("upstream", {})) for key, one in record["identities"].items()
    }
    upstream.update(own)
    return own.keys() | set(_named_in(record["config"]))


def _made(upstream: Mapping[str, str]) -> set[Made]:
    return {(stage_read(name), found) for name, found in upstream.items()}


def made_models(root: str) -> Iterator[Made]:
    """Whatever made a model, of any config: it cost hours or days, and somebody may use it."""
    for stage in children(join(root, "stages")):
        for fingerprint in children(join(root, "stages", stage)):
            blocks = receipt_files(root, stage, fingerprint)[:1]
            receipt = read_receipt(block_url(root, stage, fingerprint, blocks[0])) if blocks else None
            if receipt and any(name.startswith(f"{MODEL}/") for name in receipt.files):
                yield stage, fingerprint


def _named_in(value: Any) -> Iterator[Made]:
    """Models of a store that a config names by their place."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _named_in(one)
    elif isinstance(value, str) and (found := IN_A_STORE.search(value)):
        yield found[1], found[2]


def _with_upstream(root: str, found: Iterable[Made], upstream: Mapping[Made, set[Made]]) -> set[Made]:
    """Those, with all that they were made from, as identities and receipts tell."""
    whole: set[Made] = set()
    waiting = list(found)
    while waiting:
        one = waiting.pop()
        if one not in whole:
            whole.add(one)
            waiting += upstream[one] if one in upstream else _told_by_receipts(root, *one)
    return whole


def _told_by_receipts(root: str, stage: str, fingerprint: str) -> set[Made]:
    for block in children(join(root, "stages", stage, fingerprint)):
        url = block_url(root, stage, fingerprint, block)
        if receipt := read_receipt(url) or read_dropped(url):
            return _made(receipt.made.get("identity", {}).get("upstream", {}))
    return set()
