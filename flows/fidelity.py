"""The audit of fidelity under a config: its receipts and arrays brought together, and the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.invocation import typed
from flows.plan import Plan
from flows.stores.items import quarantined_items
from flows.stores.record import stage_receipts
from storage.about import common_about
from storage.arrays import BlockReader
from storage.receipts import ItemRow, Receipt, block_url
from storage.urls import join, location, write_bytes
from tasks.evaluate.page import render_audit
from tasks.evaluate.showcase import item_pictures
from tasks.evaluate.summary import gather, summarise

SHOWN = ("panorama", "depth", "depth error", "consistency", "semantics", "confidence")
"""Pictures of a panorama that help to see why it stands out."""


def with_audit(config: Config) -> Config:
    """The config with the stage ``audit`` in every run."""
    return config.model_copy(update={"audit": config.audit.model_copy(update={"enabled": True})})


def owed_by_audit(config: Config, plan: Plan) -> dict[str, list[str]]:
    """Of the blocks that are fused, those that lack their audit or the patch labels that it needs: stage -> blocks.

    Raises
    ------
    ConfigError
        Nothing is fused yet.
    """
    fused = {receipt.block for receipt in stage_receipts(config, plan)["fuse"]}
    if not fused:
        raise ConfigError(f"{config.root}: no panorama has fused labels under this config; make them with {typed('run')}")
    stages = [stage for stage in plan.owed if stage == "audit" or stage.startswith("label.")]
    return {stage: owed for stage in stages if (owed := [block for block in plan.owed[stage] if block in fused])}


def write_audit(config: Config, plan: Plan, items: int | None = None) -> dict[str, Any]:
    """Write ``<root>/reports/audit-<config>.html`` from the audited blocks that exist.

    Parameters
    ----------
    config : Config
    plan : its plan, with the stage ``audit``
    items : int, optional
        Worst panoramas to show; ``audit.items`` by default.

    Returns
    -------
    dict
        What ``tasks.evaluate.summary.summarise`` gives, and ``page``, the path of the page; empty if no panorama was audited.
    """
    receipts = [receipt for receipt in stage_receipts(config, plan)["audit"] if any(row.state == "done" for row in receipt.items)]
    if not receipts:
        return {}
    audited = gather(_items(config, receipts), common_about(receipts))
    summary = summarise(audited, config.audit.items if items is None else items)
    html = render_audit(
        title=f"{config.name}: audit of {summary['items']} panoramas",
        summary=summary,
        audited=audited,
        pictures=_pictures(config, plan, summary, len(audited.classes)),
        quarantined=quarantined_items(config, plan),
        min_consistency=config.fuse.min_consistency,
    )
    url = join(config.root, "reports", f"audit-{config.name}.html")
    write_bytes(url, html.encode())
    return {**summary, "page": location(url)}


def _items(config: Config, receipts: list[Receipt]) -> Iterator[tuple[ItemRow, Mapping[str, NDArray]]]:
    for receipt in receipts:
        reader = BlockReader(block_url(config.root, "audit", receipt.fingerprint, receipt.block), receipt.files)
        for slot, row in enumerate(receipt.items):
            if row.state == "done":
                yield row, reader.item(slot)


def _pictures(config: Config, plan: Plan, summary: Mapping[str, Any], classes: int) -> dict[str, dict[str, NDArray]]:
    fuse = next(stage.identity for stage in plan.definitions if stage.name == "fuse")
    places = {item.item: (block, slot) for block in plan.blocks for slot, item in enumerate(block.items)}
    found: dict[str, dict[str, NDArray]] = {}
    for row in summary["worst"]:
        pictures = item_pictures(config, fuse, *places[row["item"]], classes)
        found[row["item"]] = {name: pictures[name] for name in SHOWN if name in pictures}
    return found
