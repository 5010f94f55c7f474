"""A plan in words, for whoever shows it: a terminal, Prefect or a notebook."""

from __future__ import annotations

from flows.comparison import StagePlan
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
            "items": str(row.items),
            **{name: str(getattr(row, name)) for name in more},
            "time": duration(row.seconds),
            "bytes": size(row.bytes),
            "why": "\n".join(row.reasons) or "nothing changed",
        }
        for row in plan.stages
    ]


def _to_run(row: StagePlan) -> str:
    return f"at most {row.to_run}" if row.at_most else str(row.to_run)
