"""``plan --explain ITEM``: the way of one panorama through all stages, as a plan has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flows.comparing.comparison import Ahead
from flows.plan import Plan
from flows.sources import Source
from flows.stores.items import called_so, different, same_panoramas
from storage.items import Block, Item
from storage.records.forgotten import is_forgotten
from tasks.stage.grain import stands_for
from tasks.stage.kind import Stage, upstream_names


def explain_item(plan: Plan, name: str) -> list[dict[str, Any]]:
    """What a run would do for one panorama, by stage in their order.

    Returns
    -------
    list of dict
        ``stage``, ``block``, ``state`` and ``why``, of its own stages, of those that learn from it, and of all that read these.
        The state is ``there``, ``made``, ``copied``, ``joined``, ``given up``, ``gone`` or ``forgotten``; at the source also
        ``new`` or ``changed``. Of a block with a file that is not read yet only the number is known.

    Raises
    ------
    ConfigError
        No item, or several, have that name.
    """
    giver, item, (own, source) = called_so(plan, name, list(_to_come(plan)))
    at_source = {"state": "there", "why": item.uri} if source is None else _at_source(source, item)
    rows = [{"stage": giver.key, "block": _shown(plan, own) if own else "", **at_source}]
    reached: set[str] = set()
    for ahead in (plan.ahead[step.key] for step in plan.chosen) if own else ():
        stage = ahead.step.stage
        over = same_panoramas(stage.panoramas, giver)
        reads = {one.key for one in upstream_names(stage.inputs).values()}
        if over or reads & reached:
            reached.add(stage.key)
            rows += _of_stage(plan, ahead, own if over else None, item)
    return rows


def _to_come(plan: Plan) -> Iterator[tuple[Stage, Item, tuple[Block | None, Source | None]]]:
    """All panoramas as they are once all files are read, each with the stage that gives it, its block and its source."""
    for source in different(plan.sources):
        blocks = {block.index: block for block in source.ahead}
        yield from ((source.stage, item, (blocks.get(item.block), source)) for item in source.then)
    names = {item.item for source in plan.sources for item in source.then}
    for stage, step in ((one.step.stage, one.step) for one in plan.ahead.values()):
        if stage.kind.derive is not None:
            own = ((item, block) for block in step.blocks for item in block.items)
            yield from ((stage, item, (block, None)) for item, block in own if item.item not in names)


def _at_source(source: Source, item: Item) -> dict[str, str]:
    """What became of a panorama at its source."""
    known = {one.item for one in source.scan.known}
    coming = {one.item for one in source.scan.to_read} | {one.item for one in source.scan.checked}
    if is_forgotten(item):
        return {"state": "forgotten", "why": item.reason}
    if item.item in source.scan.absent:
        return {"state": "gone", "why": f"{item.uri} is in the source no more"}
    if item.block < 0:
        return {"state": "given up", "why": item.reason}
    state = "there" if item.item not in coming else "new" if item.item not in known else "changed"
    return {"state": state, "why": item.uri}


def _of_stage(plan: Plan, ahead: Ahead, own: Block | None, item: Item) -> Iterator[dict[str, Any]]:
    """Of a stage the block that holds the panorama, or all of them where it works on others and reads what was made of this."""
    reasons = next(row.reasons for row in plan.stages if row.stage == ahead.step.key)
    for block in ahead.step.blocks if own is None else [one for one in ahead.step.blocks if own.name in stands_for(one)]:
        found = _state(plan, ahead, block, item, reasons)
        yield {"stage": ahead.step.key, "block": _shown(plan, block), **found}


def _state(plan: Plan, ahead: Ahead, block: Block, item: Item, reasons: tuple[str, ...]) -> Mapping[str, str]:
    slot = next((slot for slot, one in enumerate(block.items) if one.item == item.item), None)
    if slot is not None and is_forgotten(item):
        return {"state": "forgotten", "why": item.reason}
    if block.name in ahead.owed:
        copies = ahead.copies.get(block.name, {})
        if slot is not None and slot in copies:
            return {"state": "copied", "why": f"its row lies in {copies[slot][0]}"}
        if item.item in ahead.lost.get(block.name, ()):
            return {"state": "gone", "why": "it would be made of a file that is in the source no more"}
        return {"state": "made", "why": "; ".join(reasons)}
    if ahead.step.stage.is_joined:
        return {"state": "joined", "why": "; ".join(reasons)}
    receipt = plan.receipts.get(ahead.step.stage, block.name)
    row = receipt.items[slot] if receipt and slot is not None else None
    if row is not None and row.state == "quarantined":
        return {"state": "given up", "why": row.reason}
    return {"state": "there", "why": f"made by run {receipt.made['run']}" if receipt else "dropped, and nothing needs it"}


def _shown(plan: Plan, block: Block) -> str:
    """The name of a block, or its number alone where a file tells the rest."""
    known = {one.name for one in plan.blocks}.union(one.name for step in plan.steps for one in step.blocks)
    return block.name if block.name in known else block.name.partition("-")[0]
