"""The record of one run as it grows: who, when, what was planned, what came of it."""

from __future__ import annotations

import getpass
import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from configs.pipeline import Config
from configs.trial import WHOLE, Trial
from flows.plan import Plan
from flows.stores.items import left_behind
from flows.text import duration
from storage.credentials import mask_credentials, mask_settings
from storage.receipts import Receipt
from storage.records.runs import write_run
from tasks.stage.reuse.adopt import ADOPTED

MOST_NAMES = 100
"""Names of panoramas that the record of a trial has of each source: the options say which all of them are."""


def new_run_name(config: str) -> str:
    """A name for a run of the config of that name, which sorts by time: ``20260131-120000-demo-1a2b``."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{config}-{os.urandom(2).hex()}"


class RunRecord:
    """Keeps ``<root>/runs/<run>.json`` up to date from the plan to the end, so that a killed run leaves its trace."""

    def __init__(self, config: Config, run: str, prefect: str = "", trial: Trial = WHOLE) -> None:
        self.config, self.trial = config, trial
        self.plan: Plan | None = None
        self._started = time.time()
        self._data: dict[str, Any] = {
            "run": run,
            "user": user_name(),
            "process": os.getpid(),
            "host": platform.node(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "config": config.model_dump(mode="json"),
            "state": "running",
            "prefect": prefect,
        }
        if trial.words:
            self._data["trial"] = {"options": trial.told, **({"panoramas": {}} if trial.chooses else {})}

    @property
    def run(self) -> str:
        """Name of the run."""
        return self._data["run"]

    def planned(self, plan: Plan) -> None:
        """Note the plan that this run carries out."""
        self.plan = plan
        self._data["plan"] = {key: plan.as_json()[key] for key in ("anything_to_run", "stages", "notes")}
        self._data["identities"] = {stage.key: stage.identity.as_json() for stage in plan.definitions}
        self._data["blocks"] = {source.key: [block.name for block in source.blocks] for source in plan.sources}
        self._data["sources"] = [mask_credentials(source.stage.settings.source.url) for source in plan.sources]
        if self.trial.words:
            self._data["trial"] = trial_of(plan)
        write_run(self.config.root, self._data)

    def finished(self, state: str, **more: Any) -> None:
        """Note how it ended, with the counts of every stage."""
        self._data |= {"state": state, "seconds": round(time.time() - self._started, 2), **mask_settings(more)}
        if self.plan is not None:
            self._data["stages"] = stage_counts(self.plan, self.run)
        write_run(self.config.root, self._data)

    def as_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return dict(self._data)


def made_in_words(record: Mapping[str, Any]) -> str:
    """What a run that is completed made, in one line: blocks, and items that are given up."""
    made, cached = (sum(row[key] for row in record["stages"]) for key in ("ran", "cached"))
    count = len(record.get("quarantined", ()))
    given_up = f", {count:,} given up" if count else ""
    return f"{made:,} block{'s' * (made != 1)} made, {cached:,} there before{given_up}, in {duration(record['seconds'])}"


def trial_of(plan: Plan) -> dict[str, Any]:
    """What a trial was of: its options, its stages, and by source how many panoramas it chose, of how many, and the first."""
    panoramas = {
        source.key: {
            "of": len({one.item for group in (source.whole.known, source.whole.checked, source.whole.to_read) for one in group}),
            "taken": len(source.scan.known),
            "items": sorted(item.item for item in source.scan.known)[:MOST_NAMES],
        }
        for source in plan.sources
    }
    told = {"options": plan.trial.told, "stages": [row.stage for row in plan.stages]}
    return {**told, "panoramas": panoramas} if plan.trial.chooses else told


def user_name() -> str:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def stage_receipts(plan: Plan) -> dict[str, list[Receipt]]:
    """The receipts of every stage that a plan makes, as far as they exist now."""
    return {step.key: [receipt for _, receipt in plan.receipts.of(step)] for step in plan.chosen}


def made_by(receipts: Mapping[str, Sequence[Receipt]], run: str) -> dict[str, list[Receipt]]:
    """Of the receipts of every stage those that a run made; of stages that share blocks, the first made them."""
    seen: set[tuple[str, str, str]] = set()
    made: dict[str, list[Receipt]] = {}
    for stage, found in receipts.items():
        own = [one for one in found if one.made["run"] == run and (one.stage, one.fingerprint, one.block) not in seen]
        seen |= {(one.stage, one.fingerprint, one.block) for one in own}
        made[stage] = own
    return made


def stage_counts(plan: Plan, run: str) -> list[Mapping[str, Any]]:
    """For every stage: blocks that were there, made or adopted, rows copied into these, quarantined items, seconds and bytes; as
    ``gone`` items that were given up and are in the source no more, or forgotten."""
    counts: list[Mapping[str, Any]] = []
    found = stage_receipts(plan)
    made_once = made_by(found, run)
    for stage, receipts in found.items():
        made = made_once[stage]
        left = left_behind(plan, plan.step(stage).stage)
        given_up = [row.item in left for receipt in receipts for row in receipt.quarantined]
        adopted = [receipt for receipt in made if ADOPTED in receipt.made]
        counts.append(
            {
                "stage": stage,
                "cached": len(receipts) - len(made),
                "ran": len(made) - len(adopted),
                "adopted": len(adopted),
                "copied": sum(receipt.copied for receipt in made),
                "items": sum(len(receipt.items) for receipt in receipts),
                "quarantined": given_up.count(False),
                "gone": given_up.count(True),
                "seconds": round(sum(receipt.made["seconds"] for receipt in made), 2),
                "bytes": sum(receipt.bytes for receipt in receipts),
            }
        )
    return counts
