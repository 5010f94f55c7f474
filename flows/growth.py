"""By how much a run makes its store grow, by what ``keep`` says of the stages whose data may go once it was read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from configs.pipeline import ALWAYS, NEVER, UNTIL_READ, Config
from flows.plan import Plan
from flows.text import size
from storage.urls import filesystem, is_local


@dataclass(frozen=True)
class Growth:
    """Bytes that a store grows by at most, by ``keep`` of ``stages``; ``free`` are those of its disk, None for a bucket."""

    stages: tuple[str, ...]
    bytes: Mapping[str, int]
    free: int | None

    @property
    def words(self) -> str:
        """The same as a sentence, with what to do where it does not fit."""
        always, where = self.bytes[ALWAYS], f" in {', '.join(self.stages)}"
        others = [(mode, count) for mode, count in self.bytes.items() if mode != ALWAYS and count < always]
        told = "".join(f", {size(count)} with `keep: {mode}`{where if not n else ''}" for n, (mode, count) in enumerate(others))
        told = f"the store grows by at most {size(always)}{told}"
        if self.free is None or always <= self.free:
            return told + (f"; {size(self.free)} are free" if self.free is not None else "")
        fitting = [mode for mode, count in others if count <= self.free]
        do = f"write `keep: {fitting[0]}`{where}" if fitting else "set root to a larger disk"
        return f"{told}; that does not fit, {size(self.free)} are free: {do}"


def growth_of(config: Config, plan: Plan) -> Growth | None:
    """By how much what a plan makes will make the store grow; None where a size was not measured, or no data may go."""
    may_go = {step.key: step.stage.panoramas for step in plan.chosen if step.stage.kind.joins}
    rows = [row for row in plan.stages if row.to_run and row.stage in plan.owed]
    own = [row for row in rows if row.stage in may_go]
    if not own or any(row.bytes is None for row in rows):
        return None
    counts: dict[str, int] = {ALWAYS: 0, UNTIL_READ: 0, NEVER: 0}
    for row in rows:
        stored = row.bytes or 0
        whole = max(1, row.items + row.copied)
        source = may_go.get(row.stage)
        at_once = config.execution.runner.most_begun * source.settings.block_size if source and source.is_source else whole
        counts[ALWAYS] += stored
        counts[UNTIL_READ] += stored * min(at_once, whole) // whole if source else stored
        counts[NEVER] += 0 if source else stored
    keys = dict.fromkeys(row.stage.partition(".")[0] for row in own)  # as the file has them: rotations are their teacher's
    return Growth(tuple(keys), counts, free_at(config.root))


def free_at(root: str) -> int | None:
    """Bytes that are free on the disk of a store; None for a bucket, which tells none."""
    if not is_local(root):
        return None
    path = Path(filesystem(root)[1]).absolute()
    return shutil.disk_usage(next(one for one in [path, *path.parents] if one.exists())).free
