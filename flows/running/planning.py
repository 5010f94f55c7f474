"""The plan of a run, made again each time that more of its sources is read: what was planned stays, and more is added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from configs.pipeline import Config
from configs.trial import Trial
from flows.plan import Plan, make_plan, refuse_unfit
from flows.running.files.reading import Reading
from flows.running.handover import handed_plan
from flows.running.nothing_made import refuse_empty_source
from flows.running.others import refuse_missing
from flows.running.schedule import Work
from flows.stores.record import RunRecord
from flows.telling.artifacts import publish_plan
from tasks.ingest.ingest import Retry


class Planning:
    """Makes the plans of a run, and has its record and Prefect tell of them."""

    def __init__(self, config: Config, retry: Retry, trial: Trial, reading: Reading, record: RunRecord) -> None:
        self._config, self._retry, self._trial, self._reading, self._record = config, retry, trial, reading, record
        handed = handed_plan()
        self._receipts = handed.receipts if handed else None
        self._copied: dict[tuple[str, str], int] = {}
        self._reasons: dict[str, tuple[str, ...]] = {}

    def plan(self, works: Sequence[Work] = ()) -> Plan:
        """What is to be made of what is read by now. ``works`` were planned before: they stand in it as if it were the first.

        Raises
        ------
        ConfigError
            Something of it cannot be made; the message says what to change.
        NothingMade
            All files of a source are read, and all were given up.
        """
        scans, whole = self._reading.place(), self._reading.over
        plan = make_plan(self._config, self._retry, scans or None, rehash=False, receipts=self._receipts, trial=self._trial)
        self._receipts = plan.receipts
        refuse_missing(self._config, plan)
        refuse_unfit(plan, whole)
        plan = self._with_planned(plan, works)
        self._record.planned(plan)
        if whole or not works:
            publish_plan(self._config.name, plan)
        if whole:
            refuse_empty_source(self._config, plan)
        return plan

    def as_known(self, plan: Plan) -> Plan:
        """The plan with the items of blocks that can be told by now; the run's record goes by it."""
        self._record.plan = plan.as_known()
        return self._record.plan

    def _with_planned(self, plan: Plan, works: Sequence[Work]) -> Plan:
        """A plan in which blocks that were planned before, and are made by now, count as they did."""
        self._copied |= {(key, name): len(rows) for key, found in plan.copies.items() for name, rows in found.items()}
        rows = []
        for row in plan.stages:
            still = set(plan.owed.get(row.stage, ()))
            blocks = [work.block for work in works if work.step.key == row.stage and work.block.name not in still]
            copied = sum(self._copied.get((row.stage, block.name), 0) for block in blocks)
            items = row.items + sum(len(block.items) for block in blocks) - copied
            counts = (max(0, row.cached - len(blocks)), row.to_run + len(blocks), items)
            reasons = self._reasons[row.stage] = tuple(dict.fromkeys([*self._reasons.get(row.stage, ()), *row.reasons]))
            row = replace(row, cached=counts[0], to_run=counts[1], items=counts[2], copied=row.copied + copied, reasons=reasons)
            rows.append(row)
        return replace(plan, stages=tuple(rows))
