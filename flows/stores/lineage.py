"""From one panorama's labels, or from a model, back to pixels, weights, settings and code: through all stages of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import Plan
from flows.stores.items import find_item, same_panoramas
from flows.stores.stored import stored_plan
from storage.credentials import mask_credentials
from storage.items import Block, Item
from storage.receipts import Receipt, read_dropped, read_receipt
from storage.records.forgotten import read_forgotten
from tasks.ingest import ingest
from tasks.stage.grain import stands_for
from tasks.stage.kind import Stage, Step, upstream_names
from tasks.stage.models import MODEL, digest_of_files


def trace_item(config: Config, name: str, stage: str | None = None) -> dict[str, Any]:
    """The lineage of all that was made of one panorama, as JSON values; of one stage and what it was made from if asked.

    Stages over other panoramas that it goes back to, as a model does to the labels that it learned from, are told as a whole.

    Raises
    ------
    ConfigError
        There is no such item or stage.
    """
    plan = stored_plan(config)
    giver, item, block = find_item(plan, name)
    own = {step.key for step in plan.steps if block.name in _stood_for(step) and _may_have(step.stage, giver)}
    steps = [_of_item(step, item, block) if step.key in own else _of_all(step, plan) for step in _chosen(plan, own, stage)]
    about = {"item": item.item, "panoramas": giver.key, "source": _source(item), "block": block.name, "slot": item.slot}
    return {**about, "forgotten": list(_forgotten(config.root, giver.origin, item)), "steps": steps}


def trace_all(config: Config, stage: str | None = None) -> dict[str, Any]:
    """The lineage of all stages, or of one and what it was made from: panoramas, models with their digests, and every stage."""
    plan = stored_plan(config)
    steps = _chosen(plan, {step.key for step in plan.steps}, stage)
    return {
        "models": {step.key: models for step in steps if (models := list(_models(step)))},
        "panoramas": [
            {
                "source": source.key,
                "item": item.item,
                "uri": mask_credentials(item.uri),
                "sha256": item.digest,
                "block": block.name,
            }
            for source in plan.sources
            for block in source.blocks
            for item in block.items
        ],
        "steps": [_of_all(step, plan) for step in steps],
    }


def _chosen(plan: Plan, wanted: set[str], stage: str | None) -> list[Step]:
    """The stages of a trace, in the file's order: those wanted, or the one that is named, and all that they were made from."""
    keys = [step.key for step in plan.steps]
    if stage is not None and stage not in keys:
        raise ConfigError(f"stage {stage!r} is not known; stages: {', '.join(keys)}")
    first = wanted if stage is None else {stage}
    behind = {key for one in first for key in _behind(plan.step(one).stage, plan)}
    return [step for step in plan.steps if step.key in first | behind]


def _behind(stage: Stage, plan: Plan) -> set[str]:
    if not stage.owes:  # what it was made from has no part in this plan
        return set()
    read = {one.key for one in upstream_names(stage.inputs).values() if not one.is_source}
    return read.union(*(_behind(plan.step(key).stage, plan) for key in read))


def _may_have(stage: Stage, giver: Stage) -> bool:
    """Whether a stage gives an item itself, is over the panoramas that another gives, or over those of whatever it reads."""
    return stage is giver or stage.over is None or same_panoramas(stage.panoramas, giver)


def _stood_for(step: Step) -> set[str]:
    return {name for block in step.blocks for name in stands_for(block)}


def _forgotten(root: str, source: Stage, item: Item) -> Iterator[dict[str, str]]:
    """When an item, or what has its pixels, was forgotten or remembered, by whom and why."""
    place = (ingest.manifest_name(source), item.item)
    for record in read_forgotten(root):
        if (record.source, record.item) == place or item.digest in record.digests:
            yield from ({"item": record.item, **asdict(event)} for event in record.events)


def _source(item: Item) -> dict[str, Any]:
    return {
        "uri": mask_credentials(item.uri),
        "sha256": item.digest,
        "height": item.height,
        "width": item.width,
        "split": item.split,
        "metadata": item.metadata,
        "figures": item.figures,
    }


def _of_item(step: Step, item: Item, block: Block) -> dict[str, Any]:
    """What one stage did for one item. A block without the item's own row has one row for several panoramas, it among them."""
    own = next(one for one in step.blocks if block.name in stands_for(one))
    url = step.stage.block_url(own.name)
    receipt = read_receipt(url) or read_dropped(url)
    entry: dict[str, Any] = {**_identity(step), "url": url, "state": "not run"}
    if receipt is None:
        return entry
    row = receipt.row(_stands_for(own, item).item)
    made = {name: value for name, value in receipt.made.items() if name != "identity"}
    return entry | {"state": row.state, "reason": row.reason, "figures": row.figures, "made": made, "files": receipt.files}


def _stands_for(block: Block, item: Item) -> Item:
    """The item of a block that an item is, or was taken from; the one item of a block that stands for many."""
    if item in block.items:
        return item
    return next((one for one in block.items if item.item.startswith(f"{one.item}/")), block.items[0])


def _of_all(step: Step, plan: Plan) -> dict[str, Any]:
    """What one stage did, block by block."""
    owed = len(plan.owed.get(step.key, plan.missing.get(step.key, ())))
    urls = [step.stage.block_url(block.name) for block in step.blocks]
    blocks = [_block(url, read_receipt(url) or read_dropped(url)) for url in urls]
    return {**_identity(step), "state": f"not run: {owed} of {len(blocks)}" if owed else "done", "blocks": blocks}


def _identity(step: Step) -> dict[str, Any]:
    return {"key": step.key, **step.stage.identity.as_json()}


def _block(url: str, receipt: Receipt | None) -> Mapping[str, Any]:
    if receipt is None:
        return {"url": url, "state": "not run", "figures": {}}
    rows = receipt.items
    return {
        "url": url,
        "state": "done",
        "given_up": {row.item: row.reason for row in receipt.quarantined},
        "figures": rows[0].figures if len(rows) == 1 else {},
        "run": receipt.made["run"],
        "code": receipt.made.get("code"),
        "device": receipt.made["device"],
        "files": receipt.files,
    }


def _models(step: Step) -> Iterator[dict[str, str]]:
    for block in step.blocks if step.stage.kind.gives == MODEL else ():
        url = step.stage.block_url(block.name)
        if receipt := read_receipt(url):
            yield {"url": f"{url}/{MODEL}", "sha256": digest_of_files(receipt)}
