"""``plan --explain ITEM``: the way of one panorama through all stages, as a plan has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flows.plan import Plan
from flows.stores.items import find_item, same_panoramas
from storage.manifest import Block
from tasks.stage.grain import stands_for
from tasks.stage.kind import Step, upstream_names


def explain_item(plan: Plan, name: str) -> list[dict[str, Any]]:
    """What a run would do for one panorama, by stage in their order.

    Returns
    -------
    list of dict
        ``stage``, ``block``, ``state`` (``there``, ``made``, ``copied`` or ``given up``) and ``why``, of its own stages, of
        those that learn from it, and of all that read these.

    Raises
    ------
    ConfigError
        No item, or several, have that name, or it was quarantined at the source.
    """
    giver, item, own = find_item(plan, name)
    rows = [{"stage": giver.key, "block": own.name, "state": "there", "why": item.uri}]
    reached: set[str] = set()
    for step in plan.chosen:
        over = same_panoramas(step.stage.panoramas, giver)
        reads = {one.key for one in upstream_names(step.stage.inputs).values()}
        if over or reads & reached:
            reached.add(step.key)
            rows += _of_step(plan, step, own if over else None, item.item)
    return rows


def _of_step(plan: Plan, step: Step, own: Block | None, item: str) -> Iterator[dict[str, Any]]:
    """Of a stage the block that holds the panorama, or all of them where it works on others and reads what was made of this."""
    row = next(row for row in plan.stages if row.stage == step.key)
    for block in step.blocks if own is None else [one for one in step.blocks if own.name in stands_for(one)]:
        yield {"stage": step.key, "block": block.name, **_state(plan, step, block, item, row.reasons)}


def _state(plan: Plan, step: Step, block: Block, item: str, reasons: tuple[str, ...]) -> Mapping[str, str]:
    slot = next((slot for slot, one in enumerate(block.items) if one.item == item), None)
    if block.name in plan.owed.get(step.key, ()):
        copies = plan.copies.get(step.key, {}).get(block.name, {})
        if slot is not None and slot in copies:
            return {"state": "copied", "why": f"its row lies in {copies[slot][0]}"}
        return {"state": "made", "why": "; ".join(reasons)}
    receipt = plan.receipts.get(step.stage, block.name)
    row = receipt.items[slot] if receipt and slot is not None else None
    if row is not None and row.state == "quarantined":
        return {"state": "given up", "why": row.reason}
    return {"state": "there", "why": f"made by run {receipt.made['run']}" if receipt else "dropped, and nothing needs it"}
