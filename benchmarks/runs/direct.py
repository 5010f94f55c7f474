"""Stages called directly, block by block, without Prefect: for benchmarks that measure the work and not its bookkeeping."""

from __future__ import annotations

from collections.abc import Iterator

from configs.pipeline import Config
from storage.manifest import Block, blocks_of
from storage.receipts import Receipt, read_receipt
from tasks.ingest import ingest
from tasks.ingest.sources import list_source
from tasks.pipeline import stages
from tasks.stage.job import Job


def ingested(config: Config) -> list[Block]:
    """The blocks of a source, checked and written to the manifest."""
    checked = [ingest.check_entry(entry, config.ingest) for entry in list_source(config.source.url)]
    return blocks_of(ingest.save(config, [], checked))


def make_all(config: Config, blocks: list[Block]) -> Iterator[Receipt]:
    """The receipt of every block of every stage, one after the other; what is there is not made again."""
    for stage in stages(config):
        for block in blocks:
            job = Job(config, stage.identity, block, "direct")
            yield read_receipt(job.url) or stage.make(job)
