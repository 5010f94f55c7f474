"""The report of an adaptation, and what the Prefect UI shows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_link_artifact, create_table_artifact

from configs.adapt import AdaptConfig
from flows.artifacts import harmless, publish_preview
from storage.arrays import BlockReader
from storage.receipts import Receipt, block_url, read_receipt
from storage.urls import filesystem, is_local, join, read_bytes, write_bytes
from tasks.adapt import compare
from tasks.adapt.adapt import MODEL
from tasks.adapt.report import label_pictures, render_adapt_report
from tasks.adapt.stages import Step

Finished = dict[str, list[tuple[str, Receipt]]]
"""URL and receipt of every block, by stage."""


def write_adapt_report(config: AdaptConfig, plan: Sequence[Step], record: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``<root>/reports/<run>.html``; return it as ``report``, the ``model``'s folder, ``figures`` and ``thresholds``."""
    done = _finished(config, plan)
    (thresholds,) = (receipt.items[0].figures for _, receipt in done["thresholds"])
    ((adapted, _),) = done["adapt"]
    figures = compare.figures(done.get("compare", []))
    items = _items_to_show(config, done)
    if items:
        publish_preview(items[0]["item"], items[0]["pictures"])
    pools = done.get("pool", [])
    page = render_adapt_report(
        title=f"{config.name}: adaptation to {sum(len(block.items) for block in plan[0].blocks)} panoramas",
        run=record,
        model=plan[0].stage.identity.weights["model"],
        figures=figures,
        compared=sum(receipt.items[0].figures["panoramas"] for _, receipt in done.get("compare", [])),
        height=config.height,
        scoring=config.scoring,
        stages=step_counts(config, plan, record["run"]),
        thresholds=thresholds,
        classes=done["predict"][0][1].about["classes"],
        pool=pools[0][1].items[0].figures["objects"] if pools else None,
        pool_page=join(pools[0][0], "index.html") if pools else "",
        losses=json.loads(read_bytes(join(adapted, "losses.json"))),
        adapted=join(adapted, MODEL),
        items=items,
    )
    url = join(config.root, "reports", f"{record['run']}.html")
    write_bytes(url, page.encode())
    return {"report": filesystem(url)[1], "model": join(adapted, MODEL), "figures": figures, "thresholds": thresholds}


def step_counts(config: AdaptConfig, plan: Sequence[Step], run: str) -> list[dict[str, Any]]:
    """For every stage: blocks that were there before, blocks made by this run, given-up panoramas, seconds and bytes."""
    counts = []
    for step in plan:
        urls = [block_url(config.root, step.name, step.stage.identity.fingerprint, block.name) for block in step.blocks]
        receipts = [receipt for url in urls if (receipt := read_receipt(url))]
        made = [receipt for receipt in receipts if receipt.made["run"] == run]
        counts.append(
            {
                "stage": step.name,
                "cached": len(receipts) - len(made),
                "ran": len(made),
                "quarantined": sum(len(receipt.quarantined) for receipt in receipts),
                "seconds": round(sum(receipt.made["seconds"] for receipt in made), 2),
                "bytes": sum(receipt.bytes for receipt in receipts),
            }
        )
    return counts


def _finished(config: AdaptConfig, plan: Sequence[Step]) -> Finished:
    done: Finished = {}
    for step in plan:
        urls = [block_url(config.root, step.name, step.stage.identity.fingerprint, block.name) for block in step.blocks]
        done[step.name] = [(url, receipt) for url in urls if (receipt := read_receipt(url))]
    return done


def _items_to_show(config: AdaptConfig, done: Finished) -> list[dict[str, Any]]:
    """Pictures of the pseudo-labels of the first panoramas that were not given up."""
    shown: list[dict[str, Any]] = []
    for (seen, predicted), (learned, labelled) in zip(done["predict"], done["omni"], strict=True):
        for slot, row in enumerate(labelled.items):
            if len(shown) == config.execution.pictures:
                return shown
            if row.state == "done":
                pixels = BlockReader(seen, predicted.files).item(slot, ("pixels",))["pixels"]
                labels = BlockReader(learned, labelled.files).item(slot)
                shown.append({"item": row.item, "pictures": label_pictures(pixels, labels, len(labelled.about["classes"]))})
    return shown


@harmless
def publish_adaptation(record: Mapping[str, Any]) -> None:
    """Thresholds, figures and the way to the report, as artifacts."""
    rows = [
        {"branch": part, "class": name, **own} for part, classes in record["thresholds"].items() for name, own in classes.items()
    ]
    if rows:
        create_table_artifact(rows, key="thresholds", description="Thresholds of pseudo-labels by class")
    if record["figures"]:
        create_table_artifact(
            [{"model": arm, **own} for arm, own in record["figures"].items()], key="figures", description="Before and after"
        )
    link = f"file://{record['report']}" if is_local(record["report"]) else record["report"]
    create_link_artifact(link, link_text="HTML report", key="report", description=f"Report of run {record['run']}")
