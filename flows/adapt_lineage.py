"""The lineage of an adapted model: back to its pseudo-labels, thresholds, source model and panoramas, with digests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs.adapt import AdaptConfig
from configs.schema import Config
from configs.settings import ConfigError
from flows.plan import Plan
from flows.stores.stored import stored_plan
from storage.credentials import mask_credentials
from storage.receipts import Receipt, block_url, read_dropped, read_receipt
from storage.urls import join
from tasks.adapt.adapt import MODEL
from tasks.pipeline import Step


def trace_model(config: Config) -> dict[str, Any]:
    """The lineage of a config's adapted model, as JSON values; its stages are ``not run`` where blocks are owed.

    Raises
    ------
    ConfigError
        The config is that of a labelling, where every panorama has a lineage of its own.
    """
    if not isinstance(config, AdaptConfig):
        raise ConfigError("trace: give the name of a panorama; without one, the lineage of an adapted model is told")
    plan = stored_plan(config)
    steps = [_step_as_json(config, plan, step) for step in plan.steps]
    adapted = next(step for step in steps if step["stage"] == "adapt")
    source = next(step for step in steps if step["stage"] == "predict")["weights"]["model"]
    done = [one for one in adapted["blocks"] if one["figures"]]
    return {
        "model": [{"url": join(one["url"], MODEL), "sha256": one["figures"]["model"]} for one in done],
        "source_model": {"url": mask_credentials(config.model), "sha256": source},
        "panoramas": [
            {"item": item.item, "uri": mask_credentials(item.uri), "sha256": item.digest, "block": block.name}
            for block in plan.blocks
            for item in block.items
        ],
        "steps": steps,
    }


def _step_as_json(config: Config, plan: Plan, step: Step) -> dict[str, Any]:
    urls = [block_url(config.root, step.name, step.stage.identity.fingerprint, block.name) for block in step.blocks]
    blocks = [_block_as_json(url, read_receipt(url) or read_dropped(url)) for url in urls]
    owed = len(plan.owed[step.name])
    return {**step.stage.identity.as_json(), "state": f"not run: {owed} of {len(blocks)}" if owed else "done", "blocks": blocks}


def _block_as_json(url: str, receipt: Receipt | None) -> Mapping[str, Any]:
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
