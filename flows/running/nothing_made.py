"""A stage that made nothing: its run fails, for a store without labels is no success.

Items are given up one by one, and a run with a few of them is a good run. But where none came through, or all that one run tried
failed for one reason, it is not the items that are bad. Whether that is so is read from the receipts alone: it is the same for
the run that made them and for all that find nothing to do, until the items are made or waived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from configs.pipeline import Config
from flows.errors import RunFailed
from flows.invocation import typed
from flows.plan import Plan
from flows.stores.failures import cause_of, read_waivers, waiver, without_numbers
from flows.stores.items import left_behind
from storage.receipts import Receipt
from storage.rows import ItemRow
from tasks.stage.kind import Stage, Step

LEAST = 2
"""Items that must have failed alike in one run: among many that are made, a single one may be bad."""


class NothingMade(RunFailed):
    """A stage gave up all its items; the message says why, and how to go on."""


def refuse_empty_source(config: Config, plan: Plan) -> None:
    """Raise NothingMade if every file of a source was given up."""
    for source in plan.sources:
        given_up = [ItemRow(item.item, "quarantined", item.reason) for item in source.scan.known if item.block < 0]
        if given_up and not source.blocks:
            _refuse(config, plan, source.stage, given_up)


def refuse_nothing_made(config: Config, plan: Plan, step: Step) -> None:
    """Raise NothingMade if a stage made no item, in all its finished blocks, and gave some up.

    Items that an earlier stage gave up were not tried. Those that somebody waived, and whose files are gone, do not count.
    """
    rows: list[ItemRow] = []
    for _, receipt in plan.receipts.of(step) if step.stage.owes else ():
        rows += tried(receipt)
        if any(row.state == "done" for row in rows):
            return
    _refuse(config, plan, step.stage, rows)


def refuse_failed_alike(config: Config, plan: Plan) -> None:
    """Raise NothingMade if all items (two or more) that one run tried at a stage failed for one reason, whatever others made."""
    for step in plan.chosen:
        of_run: dict[str, list[ItemRow]] = defaultdict(list)
        for _, receipt in plan.receipts.of(step) if step.stage.owes else ():
            of_run[receipt.made["run"]] += tried(receipt)
        for rows in of_run.values():
            nothing = all(row.state == "quarantined" for row in rows)
            if nothing and len(rows) >= LEAST and len({_alike(row) for row in rows}) == 1:
                _refuse(config, plan, step.stage, rows)


def tried(receipt: Receipt) -> list[ItemRow]:
    """What became of the items that a stage tried: of those that a block left out which stands for others, too."""
    own = [row for row in receipt.items if not row.inherited and not _is_empty(row)]
    return [*(row for row in own if row.state == "done"), *(row for row in receipt.given_up if not row.inherited)]


def _is_empty(row: ItemRow) -> bool:
    """Whether a block that stands for others left out all its panoramas: that it was finished is no success."""
    return bool(row.figures.get("given_up")) and not row.figures.get("panoramas")


def _alike(row: ItemRow) -> str:
    return without_numbers(cause_of(row.reason))


def _refuse(config: Config, plan: Plan, stage: Stage, rows: Sequence[ItemRow]) -> None:
    """Raise, unless somebody has looked at all of these and waived them, or they are gone from their source."""
    waivers = read_waivers(config.root)
    gone = left_behind(plan, stage)
    left = [row for row in rows if row.item not in gone and waiver(waivers, stage.panoramas, row.item) is None]
    if not left:
        return
    first = left[0]
    raise NothingMade(
        f"stage {stage.key}: none of {len(left)} item{'s' * (len(left) > 1)} could be made; the first, {first.item}: "
        f"{first.reason}. Mend the cause, then try them again: {typed('run', '--retry-quarantined')}"
    )
