"""What every stage of a plan has made, for whoever shows results."""

from __future__ import annotations

from configs.pipeline import Config
from flows.plan import Plan
from tasks.stage.kind import Stage, Step
from tasks.stage.made import Made


def made_of(config: Config, plan: Plan, step: Step) -> Made:
    """The finished blocks of a stage, and those of the stages that it reads, as the plan's receipts have them."""
    steps = {one.key: one for one in plan.steps}
    known: dict[str, Made] = {}

    def made(one: Step) -> Made:
        if one.key not in known:
            inputs = {
                name: tuple(made(steps[read.key]) for read in found if isinstance(read, Stage) and read.key in steps)
                for name, found in (one.stage.inputs.items() if one.stage.owes else ())
            }
            there = plan.receipts.with_data(one)
            blocks = tuple((one.stage.block_url(block.name), block, receipt) for block, receipt in there)
            known[one.key] = Made(one.stage, blocks, inputs, config.execution, tuple(plan.receipts.dropped(one)))
        return known[one.key]

    return made(step)
