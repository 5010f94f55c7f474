"""A stage that made nothing: its run fails, for a store without labels is no success.

Items are given up one by one, and a run with a few of them is a good run. But where none came through, or all that were tried
failed for one reason, it is not the items that are bad.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from configs.schema import Config
from flows.errors import RunFailed
from flows.failures import cause_of, read_waivers
from flows.invocation import command
from flows.plan import Plan
from storage.receipts import ItemRow, block_url, read_receipt
from tasks.block import inherited
from tasks.stages import Step

LEAST = 2
"""Items that must have failed alike in one run: among many that are made, a single one may be bad."""


class NothingMade(RunFailed):
    """A stage gave up all its items; the message says why, and how to go on."""


def refuse_empty_source(config: Config, plan: Plan) -> None:
    """Raise NothingMade if ingest gave up every file of the source."""
    given_up = [ItemRow(item.item, "quarantined", item.reason) for item in plan.scan.known if item.block < 0]
    if given_up and not plan.blocks:
        _refuse(config, "ingest", given_up)


def refuse_nothing_made(config: Config, step: Step, made: Sequence[ItemRow] = ()) -> None:
    """Raise NothingMade if a stage has no item, in all its finished blocks, or if all failed alike that this run tried.

    Parameters
    ----------
    config : Config
    step : the stage, after its owed blocks were made
    made : the rows of all items of the blocks that this run made

    Items that an earlier stage gave up were not tried; nor were those that somebody waived.
    """
    tried = [row for row in made if not inherited(row, step.name)]
    if any(row.state == "done" for row in tried):
        return
    if len(tried) >= LEAST and len({_alike(row) for row in tried}) == 1:
        _refuse(config, step.name, tried)
    rows: list[ItemRow] = []
    for block in step.blocks:
        receipt = read_receipt(block_url(config.root, step.name, step.stage.identity.fingerprint, block.name))
        rows += [row for row in receipt.items if not inherited(row, step.name)] if receipt else []
        if any(row.state == "done" for row in rows):
            return
    _refuse(config, step.name, rows)


def _alike(row: ItemRow) -> str:
    return re.sub(r"\d+(\.\d+)?", "#", cause_of(row.reason))


def _refuse(config: Config, stage: str, rows: Sequence[ItemRow]) -> None:
    """Raise, unless somebody has looked at all of these and waived them."""
    waived = read_waivers(config.root)
    looked_at = [row for row in rows if row.item not in waived]
    if not looked_at:
        return
    first = looked_at[0]
    raise NothingMade(
        f"stage {stage}: none of {len(looked_at)} item{'s' * (len(looked_at) > 1)} could be made; the first, {first.item}: "
        f"{first.reason}. Mend the cause, then try them again: {command('run', '--retry-quarantined')}"
    )
