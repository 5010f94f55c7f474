"""Label sets that a training learns from: finished blocks of stages that give labels, with the panoramas that they are of."""

from __future__ import annotations

from tasks.ingest.placed import panorama_blocks
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
    known = panorama_blocks(stage, wanted)
    names = [name for name in wanted if name in known]
    if not names:
        raise RuntimeError(f"{stage.root}: the panoramas of {stage.panoramas.key} changed since the run was planned; run again")
    return LabelStore(stage, [(url, known[name], receipt) for name in names for url, receipt in [open_block(stage, name)]], share)
