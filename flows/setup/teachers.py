"""What each stage that can be tried says of one view: a teacher its fields, units, ranges and classes, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator

from configs.pipeline import Config
from flows.setup.checks import Check, guarded
from tasks.pipeline import plain_stages
from tasks.stage.kind import Stage
from tasks.stage.plain import named_function


def check_teachers(config: Config) -> Iterator[Check]:
    """Load whatever a stage can be tried with, and let it look at the first panorama that can be read."""
    able = [stage for stage in plain_stages(config) if stage.kind.tries]
    if not able:
        yield Check("load", "ok", "this config has no teachers")
    for stage in able:

        def probe(stage: Stage = stage) -> Iterator[Check]:
            for name, seen in named_function(stage.kind.tries)(stage, config.execution.device):
                yield Check(f"load: {stage.key}{f', {name}' if name else ''}", "ok", seen)

        yield from guarded(f"load: {stage.key}", probe, f"correct the settings of stages.{stage.key}; mend its source first")
