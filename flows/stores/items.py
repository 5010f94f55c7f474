"""Questions about a store that need no run: its state, one label's lineage, and whether its bytes are sound."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import Plan
from flows.stores.record import stage_receipts
from flows.stores.stored import stored_plan
from storage.credentials import mask_credentials
from storage.manifest import Block, Item
from storage.receipts import damage, drop_receipt, read_receipt, receipt_files


def find_item(config: Config, plan: Plan, name: str) -> tuple[Item, Block]:
    """An item of the manifest and its block; ConfigError names the nearest match, or why the item was given up."""
    for source in plan.sources:
        known = {item.item: item for item in source.scan.known}
        if (item := known.get(name)) is None:
            continue
        if item.block < 0:
            raise ConfigError(f"item {name!r} has no labels; it was quarantined at {source.key}: {item.reason}")
        return item, next(block for block in source.blocks if block.index == item.block)
    names = [item.item for item in plan.items]
    manifests = " and ".join(mask_credentials(source.stage.settings.source.url) for source in plan.sources)
    raise ConfigError(f"item {name!r} is not known; {nearest_item(name, names, f'items in the manifest of {manifests}')}")


def nearest_item(name: str, names: Collection[str], what: str) -> str:
    """A hint for a name that is not among ``names``: the nearest one, or how many there are."""
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {len(names)} {what}"


def quarantined_items(plan: Plan) -> list[dict[str, str]]:
    """Every item that was given up, with the first stage that did so and its reason."""
    rows = {
        item.item: (source.key, item.reason)
        for source in plan.sources
        for item in source.scan.known
        if item.reason and item.block < 0
    }
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

    A broken block loses its receipt, so that the next run makes it again, and only it. Blocks of other pipelines are left to
    them.

    Yields
    ------
    (int, Broken or None)
        Bytes checked, and the damage if there is any; one pair a block.
    """
    for stage in stored_plan(config).definitions:
        for name in receipt_files(stage.root, stage.name, stage.identity.fingerprint) if stage.owes else ():
            url = stage.block_url(name)
            receipt = read_receipt(url)
            problems = damage(url, receipt) if receipt else ["receipt.json: cannot be parsed"]
            if problems:
                drop_receipt(url)
            yield receipt.bytes if receipt else 0, Broken(stage.key, name, problems) if problems else None
