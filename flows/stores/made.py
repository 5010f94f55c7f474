"""What every stage of a plan has made, for whoever shows results."""

from __future__ import annotations

from configs.pipeline import Config
from flows.plan import Plan
from flows.stores.items import same_panoramas
from storage.items import Item
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
            dropped = tuple(plan.receipts.dropped(one))
            known[one.key] = Made(one.stage, blocks, inputs, config.execution, dropped, _given_up(plan, one.stage))
        return known[one.key]

    return made(step)


def _given_up(plan: Plan, stage: Stage) -> tuple[Item, ...]:
    """Panoramas of the source that a stage works on which were given up there, but for those that are gone or forgotten."""
    source = next((one for one in plan.sources if same_panoramas(one.stage, stage.panoramas)), None)
    known = source.scan.known if source else ()
    return tuple(item for item in known if source and item.reason and item.block < 0 and item.item not in source.left)
