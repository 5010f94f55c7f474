"""Stages called directly, block by block, without Prefect: for benchmarks that measure the work and not its bookkeeping."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from configs.schema import Config
from storage.manifest import Block, blocks_of
from storage.receipts import Receipt
from tasks import ingest
from tasks.block import Job
from tasks.sources import list_source
from tasks.stages import stages


@dataclass(frozen=True)
class Made:
    """One block of one stage, and how long it took."""

    stage: str
    block: int
    receipt: Receipt
    seconds: float


def ingested(config: Config) -> list[Block]:
    """The blocks of a source, checked and written to the manifest."""
    checked = [ingest.check_entry(entry, config.ingest) for entry in list_source(config.source.url)]
    return blocks_of(ingest.save(config, [], checked))


def make_all(config: Config, blocks: list[Block]) -> Iterator[Made]:
    """Every block of every stage, one after the other."""
    for stage in stages(config):
        for number, block in enumerate(blocks):
            started = time.perf_counter()
            receipt = stage.make(Job(config, stage.identity, block, "direct"))
            yield Made(stage.name, number, receipt, time.perf_counter() - started)
