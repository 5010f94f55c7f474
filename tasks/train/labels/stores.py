"""Label sets that a training learns from: finished blocks of stages that give labels, with the panoramas that they are of."""

from __future__ import annotations

from storage.credentials import HIDDEN
from storage.manifest import Block, blocks_of
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
    names = [name for name in wanted if name in known]
    if not names:
        raise RuntimeError(f"{stage.root}: the panoramas of {stage.panoramas.key} changed since the run was planned; run again")
    return LabelStore(stage, [(url, known[name], receipt) for name in names for url, receipt in [open_block(stage, name)]], share)


def _blocks(stage: Stage) -> dict[str, Block]:
    """By name, the blocks of a stage's panoramas: those of the manifest, or what was derived from these.

    The source is listed again only if its URLs hold what the manifest must not keep.
    """
    source, derive = stage.origin, stage.panoramas.kind.derive
    items = ingest.recorded(source).known
    if any(HIDDEN in item.uri for item in items):
        items = ingest.scan(source).known
    blocks = blocks_of(items)
    own = [derive(stage.panoramas, block) for block in blocks] if derive else blocks
    return {block.name: block for block in own}
