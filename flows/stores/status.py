"""The state of a store and of its last run: what is done, how fast it goes, when it will be done, what failed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from configs.pipeline import Config
from flows.plan import Plan
from flows.sources import Source
from flows.stores.failures import causes, read_waivers, waiver
from flows.stores.items import given_up
from flows.stores.life import items_told
from flows.stores.needed import is_going
from flows.stores.record import made_by, stage_receipts
from flows.stores.stored import plan_if_listed
from storage.credentials import mask_credentials
from storage.receipts import Receipt
from storage.records.forgotten import read_forgotten
from storage.records.runs import latest_run

DIED = "died"
"""The state of a run whose process is gone, and which could not say so."""
RUN_FIELDS = ("run", "state", "reason", "started", "seconds", "user", "prefect", "trial")


def store_status(config: Config) -> dict[str, Any]:
    """The state of the store under this config, as JSON values: items, blocks a stage, quarantine, the last run.

    Where a source cannot be listed, its manifest speaks alone, and ``not_looked_at`` says why.
    """
    plan = plan_if_listed(config)
    receipts = stage_receipts(plan)
    waivers = read_waivers(config.root)
    found = [(one.as_json(), waiver(waivers, one.panoramas, one.item)) for one in given_up(plan)]
    return {
        "root": config.root,
        "items": len(plan.items),
        "sources": [_source(source) for source in plan.sources],
        "life": items_told(plan),
        "forgotten": forgotten_told(config.root),
        "notes": list(plan.notes),
        "other_source": _other_source(config, plan),
        "stages": [
            {
                "stage": step.key,
                "fingerprint": step.stage.identity.fingerprint,
                "blocks": len(step.blocks),
                "done": len(step.blocks) - len(plan.owed.get(step.key, plan.missing.get(step.key, ()))),
                "bytes": sum(receipt.bytes for receipt in receipts[step.key]),
                "seconds": round(sum(receipt.made["seconds"] for receipt in receipts[step.key]), 1),
            }
            for step in plan.steps
        ],
        "quarantined": [row for row, note in found if note is None],
        "waived": sum(note is not None for _, note in found),
        "causes": [{"cause": cause, "items": count} for cause, count in causes([row for row, _ in found]).most_common()],
        "last_run": _last_run(config, plan, receipts),
    }


def forgotten_told(root: str) -> list[dict[str, Any]]:
    """The items of a store that are forgotten: who, when, why, and whether all that was to go of them went."""
    held = [record for record in read_forgotten(root) if record.holds]
    told = [{"item": one.item, **asdict(one.events[-1]), "removed": dict(one.removed) or None} for one in held]
    return [{key: value for key, value in one.items() if key != "what"} for one in told]


def _source(source: Source) -> dict[str, Any]:
    """What is known of a source; None where it was not looked at."""
    scan, looked = source.scan, not source.scan.unlisted
    return {
        "stage": source.key,
        "url": mask_credentials(source.stage.settings.source.url),
        "items": len(scan.known),
        "not_ingested": len(scan.to_read) if looked else None,
        "gone_from_source": len(scan.absent) if looked else None,
        "not_looked_at": scan.unlisted,
    }


def _other_source(config: Config, plan: Plan) -> str:
    """The source of the last run, where this config names another of which the store knows nothing; else empty."""
    record = latest_run(config.root, config.name)
    if plan.items or record is None:
        return ""
    now = {mask_credentials(source.stage.settings.source.url) for source in plan.sources}
    return next((url for url in record.get("sources", ()) if url not in now), "")


def _last_run(config: Config, plan: Plan, receipts: Mapping[str, list[Receipt]]) -> dict[str, Any] | None:
    record = latest_run(config.root, config.name)
    if record is None:
        return None
    shown: dict[str, Any] = {key: record[key] for key in RUN_FIELDS if key in record}
    if record["state"] == "running" and not is_going(record):
        shown["state"] = DIED
    made = [receipt for group in made_by(receipts, record["run"]).values() for receipt in group]
    items = sum(len(receipt.items) for receipt in made)
    owed = sum(len(block.items) for step in plan.steps for block in plan.owed_blocks(step))
    elapsed = record.get("seconds") or time.time() - datetime.fromisoformat(record["started"]).timestamp()
    rate = items / elapsed if elapsed > 0 else 0.0
    return {
        **shown,
        "items_done": items,
        "items_owed": owed,
        "items_per_second": round(rate, 2),
        "eta_seconds": round(owed / rate) if shown["state"] == "running" and rate else None,
    }
