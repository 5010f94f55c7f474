"""Which task runs in Prefect stand for what a block reads: the edges of a run's graph."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from uuid import UUID

from flows.running.schedule import Key, Work
from flows.running.stage_run import StageRun
from tasks.stage.grain import read_blocks
from tasks.stage.kind import Stage, stages_read

CACHED = ""
"""Stands in the nodes of a stage for its blocks that were there before."""


def before_block(work: Work, stages: Mapping[str, StageRun], sources: Mapping[str, UUID]) -> set[UUID]:
    """Of the blocks that a block reads; ``sources`` by key, for those of panoramas."""
    return {node for read in stages_read(work.step.stage) for node in _of(work, read, stages, sources)}


def before_part(works: Sequence[Work], stages: Mapping[str, StageRun], sources: Mapping[str, UUID]) -> set[UUID]:
    """Of what the blocks of a part read that is not in it."""
    own = {work.key for work in works}
    return {node for work in works for read in stages_read(work.step.stage) for node in _of(work, read, stages, sources, own)}


def _of(
    work: Work, read: Stage, stages: Mapping[str, StageRun], sources: Mapping[str, UUID], but: Container[Key] = ()
) -> Iterator[UUID]:
    if read.key in sources:
        yield sources[read.key]
    elif stage := stages.get(read.key):
        for name in read_blocks(work.step.stage, work.block, read):
            if (read.identity.fingerprint, name) in but:
                continue
            if node := stage.nodes.get(name) or stage.nodes.get(CACHED):
                yield node


def before_cached(stage: Stage, stages: Mapping[str, StageRun], sources: Mapping[str, UUID]) -> list[UUID]:
    """Of all that a stage's blocks read, where these were there before."""
    read = [one.key for one in stages_read(stage)]
    known = [sources.get(key) or (stages[key].nodes.get(CACHED) if key in stages else None) for key in read]
    return [node for node in known if node]
