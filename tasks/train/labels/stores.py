"""Label sets that a training learns from: finished blocks of stages that give labels, with the panoramas that they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage.credentials import HIDDEN
from storage.items import Block, blocks_of
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
    known = _blocks(stage)
    known |= {block.name: block for block in _of_trials(stage, [name for name in wanted if name not in known])}
    names = [name for name in wanted if name in known]
    if not names:
        raise RuntimeError(f"{stage.root}: the panoramas of {stage.panoramas.key} changed since the run was planned; run again")
    return LabelStore(stage, [(url, known[name], receipt) for name in names for url, receipt in [open_block(stage, name)]], share)


def _blocks(stage: Stage) -> dict[str, Block]:
    """By name, the blocks of a stage's panoramas: those of the manifest, or what was derived from these.

    The source is listed again only if its URLs hold what the manifest must not keep.
    """
    items = ingest.recorded(stage.origin).known
    if any(HIDDEN in item.uri for item in items):
        items = ingest.scan(stage.origin).known
    own = [_derived(stage, block) for block in blocks_of(items)]
    return {block.name: block for block in own}


def _derived(stage: Stage, block: Block) -> Block:
    """The block of a stage's panoramas that comes from one of their source."""
    derive = stage.panoramas.kind.derive
    return derive(stage.panoramas, block) if derive else block


def _of_trials(stage: Stage, names: Sequence[str]) -> Iterator[Block]:
    """Blocks of some panoramas only, which no manifest has: their receipts name the items, and these the block."""
    receipts = {name: receipt for name in names if (receipt := read_receipt(stage.block_url(name)))}
    scan = ingest.scan(ingest.as_read(stage.origin)) if receipts else None
    known = {one.item: one for group in (scan.known, scan.checked) for one in group} if scan else {}
    of = {own.item: name for name, item in known.items() for own in _derived(stage, Block(0, (item,))).items}
    for name, receipt in receipts.items():
        read = dict.fromkeys(of[row.item] for row in receipt.items if row.item in of)
        block = _derived(stage, Block(int(name.partition("-")[0]), tuple(known[item] for item in read)))
        if block.name == name:
            yield block
