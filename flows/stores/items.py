"""Questions about a store that need no run: its state, one label's lineage, and whether its bytes are sound."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from configs.schema import Config
from configs.settings import ConfigError
from flows.plan import Plan
from flows.stores.record import stage_receipts
from flows.stores.stored import stored_plan
from storage.fingerprint import Identity
from storage.lineage import trace, trace_as_json
from storage.manifest import Block, Item, blocks_of
from storage.receipts import block_url, damage, drop_receipt, read_receipt, receipt_files
from tasks.pipeline import Step
from tasks.stage.grain import stands_for


def find_item(config: Config, plan: Plan, name: str) -> tuple[Item, Block]:
    """An item of the manifest and its block; ConfigError names the nearest match, or why the item was given up."""
    items = {item.item: item for item in plan.scan.known}
    if name not in items:
        raise ConfigError(
            f"item {name!r} is not known; {nearest_item(name, items, f'items in the manifest of {config.source.url}')}"
        )
    item = items[name]
    if item.block < 0:
        raise ConfigError(f"item {name!r} has no labels; it was quarantined at ingest: {item.reason}")
    return item, next(block for block in blocks_of(plan.scan.known) if block.index == item.block)


def nearest_item(name: str, names: Collection[str], what: str) -> str:
    """A hint for a name that is not among ``names``: the nearest one, or how many there are."""
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {len(names)} {what}"


def trace_item(config: Config, name: str, stage: str | None = None) -> dict[str, Any]:
    """The lineage of one item's labels under this config, as JSON values; of one stage and what it was made from if asked.

    Raises
    ------
    ConfigError
        There is no such item or stage.
    """
    plan = stored_plan(config)
    item, block = find_item(config, plan, name)
    identities = {one.name: one.identity for one in plan.definitions}
    if stage is not None and stage not in identities:
        raise ConfigError(f"stage {stage!r} is not known; stages: {', '.join(identities)}")
    needed = identities.keys() if stage is None else _upstream_of(stage, identities)
    places = [(step.stage.identity, _behind(step, block)) for step in plan.steps if step.name in needed]
    return trace_as_json(item, block, trace(config.root, item, places))


def _behind(step: Step, block: Block) -> Block:
    """The block of a stage that holds what was made of a block of panoramas."""
    return next(one for one in step.blocks if block.name in stands_for(one))


def _upstream_of(stage: str, identities: Mapping[str, Identity]) -> set[str]:
    """A stage and all that it was made from."""
    return {stage}.union(*(_upstream_of(one, identities) for one in identities[stage].upstream if one in identities))


def quarantined_items(plan: Plan) -> list[dict[str, str]]:
    """Every item that was given up, with the first stage that did so and its reason."""
    rows = {item.item: ("ingest", item.reason) for item in plan.scan.known if item.reason and item.block < 0}
    for stage, receipts in stage_receipts(plan).items():
        for receipt in receipts:
            for row in receipt.given_up:
                rows.setdefault(row.item, (stage, row.reason))
    return [{"item": item, "stage": stage, "reason": reason} for item, (stage, reason) in sorted(rows.items())]


@dataclass(frozen=True)
class Broken:
    """A block whose bytes are not those of its receipt, or something else that is not what was written.

    ``fix`` says what to do; that of a block is withdrawn, and the next run makes it again.
    """

    stage: str
    block: str
    problems: list[str]
    fix: str = ""


def verify_store(config: Config) -> Iterator[tuple[int, Broken | None]]:
    """Read back every block of this config and compare it with its receipt.

    A broken block loses its receipt, so that the next run makes it again, and only it.

    Yields
    ------
    (int, Broken or None)
        Bytes checked, and the damage if there is any; one pair a block.
    """
    for stage in stored_plan(config).definitions:
        for name in receipt_files(config.root, stage.name, stage.identity.fingerprint):
            url = block_url(config.root, stage.name, stage.identity.fingerprint, name)
            receipt = read_receipt(url)
            problems = damage(url, receipt) if receipt else ["receipt.json: cannot be parsed"]
            if problems:
                drop_receipt(url)
            yield receipt.bytes if receipt else 0, Broken(stage.name, name, problems) if problems else None
