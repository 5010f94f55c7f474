"""Stages of a config by the keys that it gives them, and jobs of them, without a flow."""

from __future__ import annotations

from collections.abc import Sequence

from configs.pipeline import Config
from storage.fingerprint import Identity
from storage.items import Block, blocks_of
from storage.receipts import Receipt, read_receipt
from tasks.ingest import ingest
from tasks.ingest.check import check_entry
from tasks.pipeline import sources, stages, steps
from tasks.stage.job import Job
from tasks.stage.kind import Stage, Step


def stage_of(config: Config, key: str) -> Stage:
    """The stage that the file calls so."""
    return next(stage for stage in stages(config) if stage.key == key)


def identity_of(config: Config, key: str) -> Identity:
    """What that stage depends on."""
    return stage_of(config, key).identity


def source_of(config: Config, key: str = "ingest") -> Stage:
    """The stage of that key that reads a source."""
    return next(stage for stage in sources(config) if stage.key == key)


def job_of(config: Config, key: str, block: Block, run: str = "run") -> Job:
    """The job of one block of a stage."""
    return Job(stage_of(config, key), block, run, config.execution)


def steps_of(config: Config, blocks: Sequence[Block]) -> list[Step]:
    """All stages that make blocks, over those of the one source of a config."""
    return [step for step in steps(config, lambda _source: blocks) if not step.stage.is_source]


def step_of(config: Config, key: str, blocks: Sequence[Block]) -> Step:
    """One of :func:`steps_of`."""
    return next(step for step in steps_of(config, blocks) if step.key == key)


def ingested(config: Config) -> list[Block]:
    """The blocks of the one source of a config, every new file of which is read now."""
    source = source_of(config)
    scan = ingest.scan(source)
    return blocks_of(ingest.save(source, scan.known, [check_entry(one, source.settings) for one in scan.to_read]))


def made(config: Config, block: Block, until: str = "") -> dict[str, Receipt]:
    """Receipts of all stages over one block, or of those before the stage ``until``, by their keys; made where there is none."""
    receipts = {}
    for stage in stages(config):
        if stage.key == until:
            break
        if not stage.is_source:
            job = Job(stage, block, "run", config.execution)
            receipts[stage.key] = read_receipt(job.url) or stage.make(job)
    return receipts
