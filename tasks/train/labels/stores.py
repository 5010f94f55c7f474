"""Label sets that a training learns from: finished blocks of stages that give labels, with the panoramas that they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage.credentials import HIDDEN
from storage.manifest import Block, blocks_of
from storage.receipts import read_receipt
from tasks.ingest import ingest
from tasks.stage.grain import stands_for
from tasks.stage.job import Job
from tasks.stage.kind import Stage
from tasks.stage.upstream import open_block
from tasks.train.labels.data import LabelStore


def label_stores(job: Job) -> list[LabelStore]:
    """The label sets of a job, in their order, each with the blocks that the job's block stands for.

    Raises
    ------
    RuntimeError
        A block is not there, or its panoramas changed since the run was planned.
    """
    wanted, stages = stands_for(job.block), job.stage.stages("labels")
    shares = job.settings.shares or (1.0,) * len(stages)
    return [label_store(stage, wanted, share) for stage, share in zip(stages, shares, strict=True)]


def label_store(stage: Stage, wanted: list[str], share: float = 1.0) -> LabelStore:
    """The blocks of a stage that are among those wanted."""
    known = _blocks(stage.panoramas)
    known |= {block.name: block for block in _of_trials(stage, [name for name in wanted if name not in known])}
    names = [name for name in wanted if name in known]
    if not names:
        raise RuntimeError(f"{stage.root}: the panoramas of {stage.panoramas.key} changed since the run was planned; run again")
    return LabelStore(stage, [(url, known[name], receipt) for name in names for url, receipt in [open_block(stage, name)]], share)


def _blocks(source: Stage) -> dict[str, Block]:
    """By name, the blocks of a source's manifest; it is listed again only if its URLs hold what the manifest must not keep."""
    items = ingest.recorded(source).known
    if any(HIDDEN in item.uri for item in items):
        items = ingest.scan(source).known
    return {block.name: block for block in blocks_of(items)}


def _of_trials(stage: Stage, names: Sequence[str]) -> Iterator[Block]:
    """Blocks of some panoramas only, which no manifest has: their receipts name the items, and these the block."""
    receipts = {name: receipt for name in names if (receipt := read_receipt(stage.block_url(name)))}
    scan = ingest.scan(ingest.as_read(stage.panoramas)) if receipts else None
    known = {one.item: one for group in (scan.known, scan.checked) for one in group} if scan else {}
    for name, receipt in receipts.items():
        items = tuple(known[row.item] for row in receipt.items if row.item in known)
        block = Block(int(name.partition("-")[0]), items)
        if block.name == name:
            yield block
