"""Which pipeline made a version: the one that the store was opened with, or the one that a run left in its record."""

from __future__ import annotations

from dataclasses import dataclass

from configs.pipeline import Config
from configs.places import seen_from
from configs.settings import ConfigError
from flows.plan import Plan
from flows.stores.stored import stored_plan
from storage.records.runs import read_runs
from tasks.migration import migrated
from tasks.pipeline import validated
from tasks.stage.kind import Step


@dataclass(frozen=True)
class Origin:
    """A pipeline, its plan by what the store knows, and the stage of it that made a version."""

    config: Config
    plan: Plan
    step: Step


def origin_in(config: Config, plan: Plan, stage: str, fingerprint: str) -> Origin | None:
    """The stage of a plan that has this name in the store and this fingerprint, or None."""
    found = (one for one in plan.steps if (one.stage.name, one.stage.identity.fingerprint) == (stage, fingerprint))
    return next((Origin(config, plan, step) for step in found), None)


def recorded_origin(root: str, stage: str, fingerprint: str) -> Origin:
    """By the record of the newest run that went by a fingerprint.

    Raises
    ------
    ConfigError
        There is no such record, or what it says has another fingerprint by now: weights that are gone, say.
    """
    for record in read_runs(root):
        told = record.get("identities", {}).values()
        if fingerprint not in {one.get("fingerprint") for one in told}:
            continue
        told = migrated(record["config"])
        here = {**told, "root": seen_from(told.get("folder", ""), root)}  # a store may be moved
        config = validated(here, f"config of run {record['run']}")
        if found := origin_in(config, stored_plan(config), stage, fingerprint):
            return found
        break
    raise ConfigError(
        f"no record in {root} says any more how {stage} {fingerprint} was made; open the store by the file of the pipeline that "
        "made it, panolabel.open('PIPELINE.yaml'), from the folder in which it was run"
    )
