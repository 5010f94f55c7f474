"""Stages of other pipelines that a run reads: what they owe, no run of this one makes."""

from __future__ import annotations

from configs.pipeline import Config, Entry
from configs.places import placed
from configs.settings import ConfigError
from flows.invocation import command_for
from flows.plan import Plan


def refuse_missing(config: Config, plan: Plan) -> None:
    """Raise ConfigError if stages of other pipelines that this one reads owe blocks."""
    if plan.missing:
        told = ", ".join(f"{key} {len(blocks) or 'all'}" for key, blocks in plan.missing.items())
        runs = dict.fromkeys(_run_of_other(config, entry) for entry in config.stages if entry.key in plan.missing)
        some = any(len(blocks) < len(plan.step(key).blocks) for key, blocks in plan.missing.items())
        what_is_there = ", or write `incomplete: true` in the stage to take what is there" if some else ""
        raise ConfigError(
            f"blocks that stages of other pipelines owe: {told}; make them with {' and '.join(runs)}{what_is_there}"
        )


def _run_of_other(config: Config, entry: Entry) -> str:
    """What to type to run the pipeline that a stage is of."""
    given = [word for name, value in entry.values.get("set", {}).items() for word in ("--set", f"{name}={value}")]
    return f"`{command_for(placed(config.folder, str(entry.values['config'])), 'run', *given)}`"
