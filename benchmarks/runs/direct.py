"""Stages called directly, block by block, without Prefect: for benchmarks that measure the work and not its bookkeeping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.pipeline import Config
from configs.reading import as_mapping, folder_of, lay_over, read_settings
from configs.trial import WHOLE, Trial
from flows.comparing.cutoff import Cutoff
from flows.plan import Plan, make_plan
from storage.items import Block, blocks_of
from storage.receipts import Receipt, read_receipt
from tasks.ingest import ingest
from tasks.ingest.check import check
from tasks.migration import migrated
from tasks.pipeline import sources, steps, validated
from tasks.stage.attempts.attempt import make_block
from tasks.stage.job import Job
from tasks.stage.kind import Stage, Step


def labelling(
    path: str | Path, changes: Mapping[str, Any], teachers: Mapping[str, Mapping[str, Any]] | None = None, audited: bool = False
) -> Config:
    """The stages of a ready-made config up to its labels' figures.

    Parameters
    ----------
    path : of the config
    changes : dotted keys to values, laid over it
    teachers : by key, in the place of its own
    audited : with an audit of the labels
    """
    data = migrated(read_settings(path), folder_of(path))
    stages = as_mapping(data["stages"])
    own = {key: said for key, said in stages.items() if said.get("stage") == "label"}
    chosen = own if teachers is None else {key: {"stage": "label", **said} for key, said in teachers.items()}
    first, last = ({key: stages.get(key) or {} for key in keys} for keys in (("ingest", "project"), ("fuse", "evaluate")))
    data["stages"] = {**first, **chosen, **last, **({"audit": {}} if audited else {})}
    lay_over(data, changes)
    return validated(data, f"config {path}")


def source_of(config: Config) -> Stage:
    """The one stage that reads a source."""
    (found,) = sources(config)
    return found


def ingested(config: Config) -> list[Block]:
    """The blocks of a source, checked and written to the manifest."""
    source = source_of(config)
    scan = ingest.scan(source)
    known = {item.item: item for item in scan.known}
    checked = [check(entry, source.settings, known.get(entry.item)) for entry in scan.to_read]
    return blocks_of(ingest.save(source, scan.known, checked))


def steps_over(config: Config, blocks: Sequence[Block]) -> list[Step]:
    """The stages that make blocks, in order, each with those of these panoramas."""
    return [step for step in steps(config, lambda _source: blocks) if not step.stage.is_source]


def make_all(config: Config, blocks: Sequence[Block], run: str = "direct") -> Iterator[Receipt]:
    """The receipt of every block of every stage, one after the other; what is there is not made again."""
    for step in steps_over(config, blocks):
        for block in step.blocks:
            job = Job(step.stage, block, run, config.execution)
            yield read_receipt(job.url) or step.stage.make(job)


def carry_out(config: Config, run: str = "direct", trial: Trial = WHOLE) -> Plan:
    """Do what a config owes, as a run does, copied rows and adopted blocks included; the plan that was carried out."""
    ingested(config)
    plan = make_plan(config, trial=trial)
    for step in plan.chosen:
        cutoff = Cutoff(step.stage, plan.receipts)
        for block in plan.owed_blocks(step):
            job = cutoff.told(plan.job(step, block, run, config.execution))
            plan.receipts.keep(step.stage, make_block(job, lambda _line: None))
    return plan
