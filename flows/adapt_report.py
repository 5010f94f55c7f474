"""The report of an adaptation: figures before and after, thresholds, pool, losses and pictures, as one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from configs.adapt import AdaptConfig
from configs.schema import Config
from flows.adapt_artifacts import Blocks, finished_blocks
from flows.stores.items import quarantined_items
from flows.stores.record import RunRecord, stage_counts
from flows.telling.artifacts import publish_preview
from storage.about import common_about
from storage.urls import join, location, read_bytes, write_bytes
from tasks.adapt import compare
from tasks.adapt.adapt import MODEL
from tasks.adapt.page import render_adapt_report
from tasks.adapt.showcase import ADAPTED, INPUT, pictured_items


def write_adapt_report(config: Config, record: RunRecord) -> dict[str, Any]:
    """Write ``<root>/reports/<run>.html``; return it as ``report``, with the ``model``'s folder, ``figures`` and so on."""
    assert isinstance(config, AdaptConfig)
    assert record.plan is not None, "a report follows a plan"
    done = {step.name: finished_blocks(config.root, step) for step in record.plan.steps}
    found = {
        "figures": compare.figures(done.get("compare", ())),
        "thresholds": _only_figures(done["thresholds"]),
        "model": "".join(join(url, MODEL) for url, _ in done["adapt"]),
        "quarantined": quarantined_items(config, record.plan),
    }
    device = config.execution.device
    shown = list(islice(pictured_items(config.root, done, config.scoring, device), config.execution.pictures))
    if shown:
        rows = shown[0]["rows"]
        publish_preview(shown[0]["item"], {**rows[INPUT], **rows.get(ADAPTED, {})})
    page = render_adapt_report(
        title=f"{config.name}: adaptation to {sum(len(block.items) for block in record.plan.blocks)} panoramas",
        run=record.as_json(),
        source_model=record.plan.definitions[0].identity.weights["model"],
        height=config.height,
        scoring=config.scoring,
        stages=stage_counts(config, record.plan, record.run),
        items=shown,
        **found,
        **_details(done),
    )
    url = join(config.root, "reports", f"{record.run}.html")
    write_bytes(url, page.encode())
    return {"report": location(url), **found}


def _only_figures(blocks: Blocks) -> Mapping[str, Any]:
    """The figures of a stage with one block for all panoramas; nothing where it is not there, as in a repair."""
    return blocks[0][1].items[0].figures if blocks else {}


def _details(done: Mapping[str, Blocks]) -> dict[str, Any]:
    """What the page shows beyond the record: classes, pool, losses, and how many panoramas were compared."""
    pools, adapted = done.get("pool", ()), done["adapt"]
    return {
        "classes": common_about(receipt for _, receipt in done["predict"]).get("classes", []),
        "compared": sum(receipt.items[0].figures["panoramas"] for _, receipt in done.get("compare", ())),
        "pool": _only_figures(pools)["objects"] if pools else None,
        "pool_page": join(pools[0][0], "index.html") if pools else "",
        "losses": json.loads(read_bytes(join(adapted[0][0], "losses.json"))) if adapted else [],
    }
