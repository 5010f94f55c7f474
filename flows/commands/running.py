"""``plan``, ``run``, ``failures`` and ``verify``: commands that make labels, or say what would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import ConfigFile, JsonOption, RetryOption, RootOption, SetOption, SourceOption, load, print_json
from flows.commands.trial_options import (
    ItemsOption,
    LimitOption,
    SampleOption,
    SplitOption,
    StageOption,
    UntilOption,
    trial_of,
)
from flows.invocation import remember_file

if TYPE_CHECKING:
    from configs.pipeline import Config
    from configs.trial import Trial
    from flows.plan import Plan


PARTIAL = 5
"""Exit code of a plan that could not tell all, since weights are not here."""

FromPlanOption = Annotated[
    Path | None, typer.Option(help="Run exactly the plan that `plan --json` wrote; exit with 3 if anything differs by now.")
]


def plan(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    retry_quarantined: RetryOption = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if anything would run.")] = False,
    limit: LimitOption = None,
    items: ItemsOption = None,
    sample: SampleOption = None,
    split: SplitOption = None,
    stage: StageOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    accept: Annotated[str | None, typer.Option(help="Stage whose change cannot change its output.")] = None,
    because: Annotated[str, typer.Option(help="With --accept: why; receipts and traces tell it.")] = "",
    explain: Annotated[str | None, typer.Option(help="One panorama's way through all stages, in the place of the plan.")] = None,
) -> None:
    """Say per stage what is cached, what would run, and why. The JSON can be kept and run: ``run --from-plan``."""
    from flows.growth import growth_of
    from flows.plan import make_plan, refuse_unfit
    from flows.plan_words import binding_pool
    from flows.running.acceptance import accept as accept_change
    from flows.stores.at_work import at_work_words, others_at_work
    from flows.stores.explained import explain_item
    from flows.stores.life import items_told
    from flows.tables.life import print_life
    from flows.tables.run import plan_table, print_growth, print_lacks, print_notes, way_table
    from flows.text import console

    wanted = load(config, source, root, settings)
    trial = trial_of(limit=limit, items=items, sample=sample, split=split, stage=stage, until=until)
    made = make_plan(wanted, retry_quarantined, trial=trial, weigh="here")
    if accept is not None:
        accept_change(wanted, made, accept, because)
        made = make_plan(wanted, retry_quarantined, receipts=made.receipts, trial=trial, weigh="here")
    if explain is not None:
        way = explain_item(made, explain)
        print_json({"item": explain, "way": way}) if as_json else console.print(way_table(explain, way))
    elif as_json:
        grows = growth_of(wanted, made)
        told = {"life": items_told(made), "store": grows and dict(grows.bytes), "at_work": others_at_work(wanted.root)}
        print_json({**made.as_json(), **told})
    else:
        console.print(plan_table(made))
        print_growth(growth_of(wanted, made))
        print_life(items_told(made))
        print_notes([*made.notes, *at_work_words(others_at_work(wanted.root))])
        if (pools := wanted.execution.runner.pools) and (binds := binding_pool(made, pools)):
            print_notes([binds])
        print_lacks(made)
    if not made.missing:
        refuse_unfit(made)
    raise typer.Exit(PARTIAL if made.lacks else int(check and (made.anything_to_run or bool(made.missing))))


def run(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    retry_quarantined: RetryOption = False,
    from_plan: FromPlanOption = None,
    limit: LimitOption = None,
    items: ItemsOption = None,
    sample: SampleOption = None,
    split: SplitOption = None,
    stage: StageOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run what the plan says; what is done stays done: run again to go on."""
    wanted = load(config, source, root, settings)
    trial = trial_of(limit=limit, items=items, sample=sample, split=split, stage=stage, until=until)
    finish(config, wanted, retry_quarantined, from_plan, as_json, trial)


def finish(
    path: Path,
    wanted: Config,
    retry_quarantined: bool = False,
    from_plan: Path | None = None,
    as_json: bool = False,
    trial: Trial | None = None,
) -> None:
    """Show the plan and carry it out; nothing more happens if all is there."""
    from configs.trial import WHOLE
    from flows.plan import make_plan
    from flows.running.drift import refuse_drift
    from flows.starting import NOTHING, carry_out_plan
    from flows.stores.life import items_told
    from flows.tables.life import print_life
    from flows.tables.run import plan_table, print_notes, print_nothing_to_do, print_outcome
    from flows.text import console

    made = make_plan(wanted, retry_quarantined, trial=trial or WHOLE)
    if from_plan is not None:
        refuse_drift(from_plan, made)
    if not as_json:
        console.print(plan_table(made))
        print_life(items_told(made))
        print_notes(made.notes)
    remember_file(path)
    record = carry_out_plan(wanted, made, retry_quarantined, as_json)
    if record["state"] != NOTHING:
        print(json.dumps(record)) if as_json else print_outcome(record)
    elif as_json:
        print_json(record)
    else:
        print_nothing_to_do(wanted, made.trial)


def carry_out(
    path: Path,
    config: Config,
    retry: bool | list[str] = False,
    only: dict[str, list[str]] | None = None,
    as_json: bool = False,
) -> None:
    """Run a pipeline on a Prefect server, with progress and a summary on the terminal unless JSON is wanted."""
    from flows.starting import start_flow
    from flows.tables.run import print_outcome

    remember_file(path)
    record = start_flow(config, retry, only, as_json)
    if as_json:
        print(json.dumps(record))
    else:
        print_outcome(record)


def make_owed(config: Config, plan: Plan, owed: dict[str, list[str]], quiet: bool) -> None:
    """Make just these of the blocks that a plan owes, and print nothing of them but progress."""
    from flows.running.handover import handing_over
    from flows.starting import start_flow

    with handing_over(plan):
        start_flow(config, False, owed, quiet)


def verify(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make the broken blocks again, and nothing else.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every stored byte against its receipt, and published versions and trainings too; a broken block is owed again.

    Exits with 1 if any stays broken.
    """
    from flows.stores.items import verify_store
    from flows.stores.verification import find_strays, verify_others
    from flows.tables.run import print_verification

    wanted = load(config, source, root, settings)
    checked = list(verify_store(wanted))
    broken = [damage for _, damage in checked if damage is not None]
    checked += list(verify_others(wanted))
    others = [damage for _, damage in checked if damage is not None and damage.fix]
    strays = find_strays(wanted)
    size = sum(count for count, _ in checked)
    if as_json and not (repair and broken):
        rows = [{"stage": b.stage, "block": b.block, "problems": b.problems, "fix": b.fix} for b in [*broken, *others]]
        print_json({"blocks": len(checked), "bytes": size, "broken": rows, "strays": strays})
    elif not as_json:
        print_verification(len(checked), size, [*broken, *others], strays)
    if broken and repair:
        only: dict[str, list[str]] = {}
        for damage in broken:
            only.setdefault(damage.stage, []).append(damage.block)
        carry_out(config, wanted, only=only, as_json=as_json)
    raise typer.Exit(int((bool(broken) and not repair) or bool(others)))


failures = typer.Typer(help="Items that were given up, and blocks that could not be made.", no_args_is_help=True)

Items = Annotated[list[str] | None, typer.Argument(help="Names of panoramas; all if none is given.", show_default=False)]


@failures.command("list")
def list_failures(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what failed and why, by cause."""
    from flows.stores.failures import failed
    from flows.tables.run import print_failures

    found = failed(load(config, source, root, settings))
    if as_json:
        print_json(found)
    else:
        print_failures(found)


@failures.command("retry")
def retry_failures(
    config: ConfigFile,
    items: Items = None,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try given-up items again: those named, or all that are not waived."""
    from flows.stores.failures import items_to_retry

    wanted = load(config, source, root, settings)
    carry_out(config, wanted, retry=items_to_retry(wanted, items or []), as_json=as_json)


@failures.command("waive")
def waive_failures(
    config: ConfigFile,
    items: Annotated[list[str], typer.Argument(help="Names of panoramas.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why nobody needs to look at them again.", show_default=False)],
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept that items stay without labels: they are counted apart from now on, and not tried again."""
    from flows.stores.failures import waive

    waived = waive(load(config, source, root, settings), items, reason)
    if as_json:
        print_json(waived)
    else:
        typer.echo(f"{len(items)} waived: {', '.join(items)}")
