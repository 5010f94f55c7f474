"""A plan in words, for whoever shows it: a terminal, Prefect or a notebook."""

from __future__ import annotations

from configs.execution import Pools
from flows.comparing.comparison import StagePlan
from flows.plan import Plan
from flows.text import duration, size


def plan_title(plan: Plan) -> str:
    """What stands above a plan."""
    return f"Plan of a trial: {plan.trial.told}" if plan.trial.words else "Plan"


def plan_words(plan: Plan) -> list[dict[str, str]]:
    """By stage what a table shows, heads to texts; ``copied`` and ``gone`` where any is, ``why`` with a line for each reason."""
    more = [name for name in ("copied", "gone") if any(getattr(row, name) for row in plan.stages)]
    return [
        {
            "stage": row.stage,
            "cached": str(row.cached),
            "to run": _to_run(row),
            "items": f"{'about ' * row.about}{row.items}",
            **{name: str(getattr(row, name)) for name in more},
            "time": duration(row.seconds),
            "bytes": size(row.bytes),
            "why": "\n".join([*(row.reasons or ["nothing changed"]), *[f"gives {row.tells}"] * bool(row.tells)]),
        }
        for row in plan.stages
    ]


def _to_run(row: StagePlan) -> str:
    return f"at most {row.to_run}" if row.at_most else str(row.to_run)


def binding_pool(plan: Plan, pools: Pools) -> str:
    """Which pool of workers a run will wait for, by rates that were measured; empty where some stage's is not known."""
    rows = {row.stage: row for row in plan.stages}
    steps = [step for step in plan.chosen if not step.stage.is_source and rows[step.key].to_run]
    if not steps or any(rows[step.key].seconds is None for step in steps):
        return ""
    work = {
        name: sum(rows[step.key].seconds or 0.0 for step in steps if step.stage.wants_gpu == gpu) / count
        for name, gpu, count in (("gpu", True, pools.gpu), ("cpu", False, pools.cpu))
    }
    binds, other = sorted(work, key=lambda name: -work[name])
    return (
        f"pool {binds} binds: {duration(work[binds])} for each of its workers, {duration(work[other])} for each of pool {other}"
    )
