"""What every stage of a plan has made, for whoever shows results."""

from __future__ import annotations

from configs.schema import Config
from flows.plan import Plan
from storage.receipts import block_url
from tasks.pipeline import Step
from tasks.stage.made import Made


def made_of(config: Config, plan: Plan, step: Step) -> Made:
    """The finished blocks of a stage, and those of the stages that it reads, as the plan's receipts have them."""
    known: dict[str, Made] = {}

    def made(one: Step) -> Made:
        if one.name not in known:
            identity = one.stage.identity
            inputs = {before.name: made(before) for before in plan.steps if before.name in identity.upstream}
            urls = {block.name: block_url(config.root, one.name, identity.fingerprint, block.name) for block in one.blocks}
            blocks = tuple((urls[block.name], block, receipt) for block, receipt in plan.receipts.of(one))
            known[one.name] = Made(one.name, one.name, identity.settings, blocks, inputs, config)
        return known[one.name]

    return made(step)
