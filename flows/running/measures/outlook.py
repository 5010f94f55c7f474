"""How far a run is, once a minute: what is done, which stage binds, and how long the rest should take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from configs.execution import Runner
from flows.running.stage_run import StageRun
from flows.text import duration

EVERY_SECONDS = 60.0


class Outlook:
    """Looks at the stages of a run from time to time; ``estimates`` are the seconds that the plan gave each, None if unknown."""

    def __init__(self, stages: Sequence[StageRun], estimates: Mapping[str, float | None], runner: Runner) -> None:
        self._stages, self._estimates, self._runner = stages, estimates, runner
        self._last = time.monotonic()
        self._before: dict[str, float] = {}

    def line(self, more: bool) -> str | None:
        """What to say now; None if it was said less than a minute ago. There may be ``more`` to make as files are read."""
        now = time.monotonic()
        if now - self._last < EVERY_SECONDS:
            return None
        self._last = now
        stages = [stage for stage in self._stages if stage.owed]
        spent = {stage.step.key: stage.seconds - self._before.get(stage.step.key, 0.0) for stage in stages}
        self._before = {stage.step.key: stage.seconds for stage in stages}
        busiest = max(spent, key=lambda key: spent[key], default="")
        told = [f"{stage.step.key} {stage.items}/{stage.items_owed}" for stage in stages if stage.begun and not stage.over]
        told += [f"{busiest} takes {spent[busiest] / sum(spent.values()):.0%} of the time"] if sum(spent.values()) else []
        left = self._left(stages)
        so_far = " for what is read so far" * more
        return ", ".join([*told, f"about {duration(left)} left{so_far}" if left is not None else "time left unknown"])

    def _left(self, stages: Sequence[StageRun]) -> float | None:
        """Seconds until all is made, if all workers are busy; None while nothing is known of some stage."""
        left = {True: 0.0, False: 0.0}
        for stage in stages:
            if stage.over:
                continue
            whole = stage.seconds / stage.items * stage.items_owed if stage.items else self._estimates.get(stage.step.key)
            if whole is None:
                return None
            left[stage.step.stage.wants_gpu] += whole * (1 - stage.items / max(stage.items_owed, 1))
        pools = self._runner.pools
        if pools:  # which work at the same time
            return max(left[True] / pools.gpu, left[False] / pools.cpu)
        return sum(left.values()) / self._runner.workers
