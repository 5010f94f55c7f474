"""Questions about a store that need no run: its state, one label's lineage, and whether its bytes are sound."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from configs.schema import Config, ConfigError
from flows.plan import Plan, make_plan
from flows.record import stage_receipts
from storage.lineage import trace, trace_as_json
from storage.manifest import Block, Item, blocks_of
from storage.receipts import block_url, blocks_with_receipts, damage, drop_receipt, read_receipt
from storage.runs import latest_run


def find_item(config: Config, plan: Plan, name: str) -> tuple[Item, Block]:
    """An item of the manifest and its block; ConfigError names the nearest match, or why the item was given up."""
    items = {item.item: item for item in plan.scan.known}
    if name not in items:
        nearest = difflib.get_close_matches(name, items, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"the manifest of {config.source.url} has {len(items)} items"
        raise ConfigError(f"item {name!r} is not known; {hint}")
    item = items[name]
    if item.block < 0:
        raise ConfigError(f"item {name!r} has no labels; it was quarantined at ingest: {item.reason}")
    return item, next(block for block in blocks_of(plan.scan.known) if block.index == item.block)


def trace_item(config: Config, name: str) -> dict[str, Any]:
    """The lineage of one item's labels under this config, as JSON values."""
    plan = make_plan(config)
    item, block = find_item(config, plan, name)
    steps = trace(config.root, item, block, [stage.identity for stage in plan.definitions])
    return trace_as_json(item, block, steps)


def quarantined_items(config: Config, plan: Plan) -> list[dict[str, str]]:
    """Every item that was given up, with the first stage that did so and its reason."""
    rows = {item.item: ("ingest", item.reason) for item in plan.scan.known if item.reason and item.block < 0}
    for stage, receipts in stage_receipts(config, plan).items():
        for receipt in receipts:
            for row in receipt.quarantined:
                rows.setdefault(row.item, (stage, row.reason))
    return [{"item": item, "stage": stage, "reason": reason} for item, (stage, reason) in sorted(rows.items())]


def store_status(config: Config) -> dict[str, Any]:
    """The state of the store under this config, as JSON values: items, blocks a stage, quarantine, the last run."""
    plan = make_plan(config)
    receipts = stage_receipts(config, plan)
    last = latest_run(config.root, config.name)
    return {
        "root": config.root,
        "source": config.source.url,
        "items": len(plan.scan.known),
        "not_ingested": len(plan.scan.to_read),
        "gone_from_source": len(plan.scan.absent),
        "stages": [
            {
                "stage": stage.name,
                "fingerprint": stage.identity.fingerprint,
                "blocks": len(plan.blocks),
                "done": len(receipts[stage.name]),
                "bytes": sum(receipt.bytes for receipt in receipts[stage.name]),
                "seconds": round(sum(receipt.made["seconds"] for receipt in receipts[stage.name]), 1),
            }
            for stage in plan.definitions
        ],
        "quarantined": quarantined_items(config, plan),
        "last_run": {key: last[key] for key in ("run", "state", "started", "seconds", "user") if key in last} if last else None,
    }


@dataclass(frozen=True)
class Broken:
    """A block whose bytes are not those of its receipt."""

    stage: str
    block: str
    problems: list[str]


def verify_store(config: Config) -> Iterator[tuple[int, Broken | None]]:
    """Read back every block of this config and compare it with its receipt.

    A broken block loses its receipt, so that the next run makes it again, and only it.

    Yields
    ------
    (int, Broken or None)
        Bytes checked, and the damage if there is any; one pair a block.
    """
    for stage in make_plan(config).definitions:
        for name in blocks_with_receipts(config.root, stage.name, stage.identity.fingerprint):
            url = block_url(config.root, stage.name, stage.identity.fingerprint, name)
            receipt = read_receipt(url)
            problems = damage(url, receipt) if receipt else ["receipt.json: cannot be parsed"]
            if problems:
                drop_receipt(url)
            yield receipt.bytes if receipt else 0, Broken(stage.name, name, problems) if problems else None
