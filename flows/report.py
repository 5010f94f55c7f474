"""The report of a run: figures of all items, pictures of some, as one HTML file beside the run's record."""

from __future__ import annotations

from typing import Any

from configs.pipeline import Config
from flows.stores.items import quarantined_items
from flows.stores.record import RunRecord, stage_counts, stage_receipts
from flows.telling.artifacts import publish_preview
from storage.about import common_about
from storage.manifest import Item
from storage.receipts import Receipt
from storage.urls import join, location, write_bytes
from tasks.evaluate.evaluate import summarise_rows
from tasks.evaluate.showcase import item_pictures
from tasks.label.classes import never_seen
from tasks.pages.report import render_report
from tasks.stage.kind import Stage


def write_run_report(config: Config, record: RunRecord) -> dict[str, Any]:
    """Write ``<root>/reports/<run>.html``; return its place as ``report``, and what else it found.

    That is the ``summary``, the ``quarantined`` items, ``classes_never_seen``, and the name of an ``item`` with labels.
    """
    assert record.plan is not None, "a report follows a plan"
    receipts = stage_receipts(config, record.plan)
    shown = _items_to_show(config, record, receipts["evaluate"])
    if shown:
        publish_preview(shown[0]["item"], shown[0]["pictures"])
    figures = summary(receipts["evaluate"])
    quarantined = quarantined_items(config, record.plan)
    unseen = never_seen(receipts["fuse"])
    html = render_report(
        title=f"{config.name}: {len(record.plan.scan.known)} panoramas",
        run={**record.as_json(), "config": config.name},
        plan_rows=stage_counts(config, record.plan, record.run),
        summary=figures,
        items=shown,
        quarantined=quarantined,
        classes=common_about(receipts["evaluate"]).get("classes", ()),
        never_seen=unseen,
    )
    url = join(config.root, "reports", f"{record.run}.html")
    write_bytes(url, html.encode())
    done = (row.item for receipt in receipts["evaluate"] for row in receipt.items if row.state == "done")
    found = {"summary": figures, "quarantined": quarantined, "classes_never_seen": unseen}
    return {"report": location(url), **found, "item": next(done, "")}


def summary(evaluated: list[Receipt]) -> dict[str, Any]:
    """Figures of all evaluated items together; empty if there are none."""
    rows = [row for receipt in evaluated for row in receipt.items]
    return summarise_rows(rows, common_about(evaluated)) if any(row.state == "done" for row in rows) else {}


def _items_to_show(config: Config, record: RunRecord, evaluated: list[Receipt]) -> list[dict[str, Any]]:
    """Metrics and pictures of the first items that were not given up."""
    assert record.plan is not None
    fuse: Stage = next(stage for stage in record.plan.definitions if stage.name == "fuse")
    blocks = {block.name: block for block in record.plan.blocks}
    shown: list[dict[str, Any]] = []
    for receipt in evaluated:
        block = blocks[receipt.block]
        for slot, row in enumerate(receipt.items):
            if len(shown) == config.execution.pictures:
                return shown
            item: Item = block.items[slot]
            if row.state == "done":
                pictures = item_pictures(config, fuse.identity, block, slot, len(receipt.about["classes"]))
                shown.append({"item": item.item, "metrics": row.figures, "pictures": pictures})
    return shown
