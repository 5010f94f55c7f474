"""Events that automations act on. Without a server that keeps them they are lost, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.events import emit_event
from prefect.runtime import flow_run

from configs.pipeline import Config
from flows.plan import Plan
from flows.stores.items import quarantined_items
from flows.telling.artifacts import harmless
from storage.credentials import mask_credentials
from storage.receipts import maker_of
from storage.records.runs import read_runs
from storage.urls import is_local
from tasks.stage.models import MODEL

QUARANTINED = "panolabel.items.quarantined"
FIRST_REASONS = 5


@harmless
def report_quarantined(config: Config, plan: Plan | None, run: str) -> None:
    """Tell of the items that this run gave up and the last run of this config had not; nothing is told twice."""
    if plan is None:
        return
    now = quarantined_items(plan)
    before = {_key(row) for row in _given_up_before(config, run)}
    if new := [row for row in now if _key(row) not in before]:
        emit_event(
            event=QUARANTINED,
            resource={"prefect.resource.id": f"panolabel.config.{config.name}", "prefect.resource.name": config.name},
            related=_this_run(),
            payload={
                "config": config.name,
                "run": run,
                "root": config.root,
                "new": len(new),
                "all": len(now),
                "first": new[:FIRST_REASONS],
            },
        )


@harmless
def report_models(config: Config, plan: Plan | None, run: str) -> None:
    """Tell of the models that this run has made, as Prefect's assets."""
    for step in plan.chosen if plan else ():
        for block, receipt in plan.receipts.of(step) if plan and step.stage.kind.gives == MODEL else ():
            if maker_of(receipt) == run:
                facts = {"config": config.name, "stage": step.key, "fingerprint": receipt.fingerprint, "run": run}
                report_asset(step.stage.block_url(block.name), f"{config.name} {step.key}", facts)


@harmless
def report_asset(url: str, name: str, facts: Mapping[str, Any]) -> None:
    """Tell that something was made which others use: a version of labels, or a model. The open server shows it as an event."""
    place = mask_credentials(url)
    emit_event(
        event="prefect.asset.materialization.succeeded",
        resource={
            "prefect.resource.id": Path(place).absolute().as_uri() if is_local(url) else place,
            "prefect.resource.name": name,
        },
        related=_this_run(),
        payload=dict(facts),
    )


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["item"], row["stage"], row["reason"]


def _given_up_before(config: Config, run: str) -> Sequence[dict[str, Any]]:
    for record in read_runs(config.root):
        if record["run"] != run and "quarantined" in record and record["config"]["name"] == config.name:
            rows: list[dict[str, Any]] = record["quarantined"]
            return rows
    return []


def _this_run() -> list[dict[str, str]]:
    if flow_run.id is None:
        return []
    return [{"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}]
