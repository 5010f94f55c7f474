"""The audit of fidelity under a config: what is owed of it, and a page of its own."""

from __future__ import annotations

from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.invocation import typed
from flows.plan import Plan
from flows.report import brief, write_page
from flows.stores.items import quarantined_items
from flows.stores.made import made_of
from flows.stores.record import stage_receipts
from tasks.evaluate.shown_audit import audit_summary
from tasks.pages.shown import Section, render_page
from tasks.shown import shows


def with_audit(config: Config, items: int | None = None) -> Config:
    """The config with the stage ``audit`` in every run, which shows ``items`` of the worst panoramas, if that is given."""
    changes = {"enabled": True, "items": config.audit.items if items is None else items}
    return config.model_copy(update={"audit": config.audit.model_copy(update=changes)})


def owed_by_audit(config: Config, plan: Plan) -> dict[str, list[str]]:
    """Of the blocks that are fused, those that lack their audit or the patch labels that it needs: stage -> blocks.

    Raises
    ------
    ConfigError
        Nothing is fused yet.
    """
    fused = {receipt.block for receipt in stage_receipts(plan)["fuse"]}
    if not fused:
        raise ConfigError(f"{config.root}: no panorama has fused labels under this config; make them with {typed('run')}")
    stages = [stage for stage in plan.owed if stage == "audit" or stage.startswith("label.")]
    return {stage: owed for stage in stages if (owed := [block for block in plan.owed[stage] if block in fused])}


def write_audit(config: Config, plan: Plan) -> dict[str, Any]:
    """Write ``<root>/reports/audit-<config>.html`` from the audited blocks that exist; ``audit.items`` of the worst are shown.

    Returns
    -------
    dict
        What ``tasks.evaluate.summary.summarise`` gives, ``page``, the path of the page, and ``shown``, what a terminal prints;
        empty if no panorama was audited.
    """
    made = made_of(config, plan, next(step for step in plan.steps if step.name == "audit"))
    summary = audit_summary(made) if made.blocks else {}
    if not summary:
        return {}
    pieces = shows(made)
    html = render_page(
        title=f"{config.name}: audit of {summary['items']} panoramas",
        sections=[Section(made.key, made.kind, pieces)],
        quarantined=quarantined_items(plan),
    )
    return {**summary, "page": write_page(config, f"audit-{config.name}", html), "shown": brief(pieces)}
