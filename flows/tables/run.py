"""Plans, outcomes and the state of stores as tables for a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from configs.pipeline import Config
from configs.trial import Trial
from flows.growth import Growth
from flows.invocation import command
from flows.plan import Plan
from flows.plan_words import plan_title, plan_words
from flows.stores.garbage import Garbage
from flows.stores.items import Broken
from flows.stores.status import DIED
from flows.tables.life import print_life
from flows.tables.shown import print_places, print_sentences, print_tables
from flows.text import console, duration, size
from storage.records.runs import latest_run
from tasks.stage.tables import from_json

SHOWN_ITEMS = 10
"""Quarantined items that a terminal is shown."""


def plan_table(plan: Plan) -> Table:
    """One row a stage: blocks cached and to run, items to be made and rows to be copied, why, estimated time and bytes."""
    words = plan_words(plan)
    table = Table(title=escape(plan_title(plan)), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in list(words[0])[:-1] if words else ():
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    table.add_column("why", overflow="fold", min_width=24)
    for row, told in zip(plan.stages, words, strict=True):
        styles = {"to run": "yellow" if row.to_run else "green", "why": "" if row.reasons else "dim"}
        table.add_row(*(Text(text, styles.get(name, "")) for name, text in told.items()))
    return table


def way_table(item: str, way: Sequence[Mapping[str, str]]) -> Table:
    """One panorama's way through the stages."""
    table = Table(title=f"Plan of {escape(item)}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in ("stage", "block", "state", "why"):
        table.add_column(name, overflow="fold")
    for row in way:
        table.add_row(row["stage"], row["block"], row["state"], escape(row["why"]))
    return table


def print_notes(notes: Sequence[str]) -> None:
    """What else there is to know of a source."""
    for note in notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)


def print_growth(growth: Growth | None) -> None:
    """By how much the store will grow, where that is known."""
    if growth is not None:
        told = growth.words
        console.print(escape(told[:1].upper() + told[1:]), soft_wrap=True, highlight=False)


def print_lacks(plan: Plan) -> None:
    """Which weights are not here, why, and what that means."""
    for stage, why in plan.lacks.items():
        console.print(f"[yellow]weights not here:[/] {escape(stage)}: {escape(why)}", soft_wrap=True)
    if plan.lacks:
        console.print("The plan is partial: of these stages, and of what is made from them, more may be cached than it says.")


def print_nothing_to_do(config: Config, trial: Trial) -> None:
    """Say that all is there already, and where."""
    last = latest_run(config.root, config.name) or {}
    what = f"every block of the trial {escape(trial.told)}" if trial.words else "every block"
    console.print(f"[green]Nothing to run:[/] {what} has its receipt.")
    if report := last.get("report"):
        console.print(f"Report of the last run: {report}", soft_wrap=True)
    print_places(console, [from_json(piece) for piece in last.get("shown", ())])


def print_outcome(record: Mapping[str, Any]) -> None:
    """What a run did, how accurate its labels are, and where to look next."""
    table = Table(title=f"Run {record['run']}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("stage")
    copies, left = (any(row.get(name) for row in record["stages"]) for name in ("copied", "gone"))
    for name in ("cached", "ran", *(["copied"] * copies), "quarantined", *(["gone"] * left), "work", "stored"):
        table.add_column(name, justify="right")
    for row in record["stages"]:
        quarantined = f"[yellow]{row['quarantined']}[/]" if row["quarantined"] else "0"
        ran = f"{row['ran']}" + (f" [dim]+ {row['adopted']} adopted[/]" if row.get("adopted") else "")
        counts = [str(row["cached"]), ran, *([str(row["copied"])] * copies), quarantined, *([str(row["gone"])] * left)]
        table.add_row(row["stage"], *counts, duration(row["seconds"]), size(row["bytes"]))
    console.print(table)
    if trial := record.get("trial"):
        console.print(escape(trial_line(trial)), soft_wrap=True)
    shown = [from_json(piece) for piece in record.get("shown", ())]
    print_tables(console, shown)
    given_up = record.get("quarantined", [])
    for row in given_up[:SHOWN_ITEMS]:
        console.print(f"[yellow]quarantined[/] {escape(row['item'])} at {row['stage']}: {escape(row['reason'])}", soft_wrap=True)
    if hidden := given_up[SHOWN_ITEMS:]:
        print_command(f"and {len(hidden)} more: ", command("failures list"))
    print_sentences(console, shown)
    console.print(f"\nReport:  {escape(record['report'])}", soft_wrap=True)
    print_places(console, shown)
    if (found := record.get("found")) and not record.get("trial"):  # a trace is of whole blocks
        items = [one["item"] for one in found.values() if one.get("item")]
        print_command("Lineage: ", command("trace", item=next(iter(items), "")))


def trial_line(trial: Mapping[str, Any]) -> str:
    """What a run was a trial of."""
    taken = [f"{one['taken']} of {one['of']} panoramas of {source}" for source, one in trial.get("panoramas", {}).items()]
    return f"a trial, {trial['options']}: {', '.join(taken)}" if taken else f"a trial, {trial['options']}"


def print_command(what: str, typed: str) -> None:
    """A command on a line of its own, whole, as it can be pasted."""
    console.print(f"{what}{escape(typed)}", soft_wrap=True, highlight=False)


def print_status(state: dict[str, Any]) -> None:
    """The state of a store."""
    console.print(f"[bold]{escape(state['root'])}[/]: {state['items']} panoramas", soft_wrap=True)
    for source in state["sources"]:
        console.print(_source_line(source), soft_wrap=True)
    print_life(state["life"])
    for one in state["forgotten"]:
        _print_forgotten(one)
    print_notes(state["notes"])
    if other := state["other_source"]:
        print_command("this store was last run with another source: ", f"--source {shlex.quote(other)}")
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("stage")
    table.add_column("fingerprint")
    for name in ("blocks done", "work", "stored"):
        table.add_column(name, justify="right")
    for row in state["stages"]:
        table.add_row(
            row["stage"],
            row["fingerprint"][:8],
            f"{row['done']} of {row['blocks']}",
            duration(row["seconds"]),
            size(row["bytes"]),
        )
    console.print(table)
    for row in state["quarantined"][:10]:
        console.print(f"[yellow]quarantined[/] {escape(row['item'])} at {row['stage']}: {escape(row['reason'])}", soft_wrap=True)
    for row in state["causes"] if len(state["quarantined"]) > 10 else ():
        console.print(f"  {row['items']} x {escape(row['cause'])}", soft_wrap=True)
    if state["waived"]:
        console.print(f"{state['waived']} items waived")
    if last := state["last_run"]:
        _print_last_run(last)


def _print_forgotten(one: Mapping[str, Any]) -> None:
    """Who forgot an item, when and why; where it was not all removed, what to type."""
    told = f"{escape(one['item'])} by {escape(one['by'])} at {one['at']}: {escape(one['because'])}"
    console.print(f"[yellow]forgotten[/] {told}", soft_wrap=True)
    if not one["removed"]:
        print_command("  not all of it is removed; go on: ", command("forget", "--because", one["because"], item=one["item"]))


def _source_line(source: Mapping[str, Any]) -> str:
    """What is known of one source."""
    known = f"{source['stage']}: {source['items']} of {escape(source['url'])}"
    if source["not_looked_at"]:
        return f"{known}, which was not looked at: {escape(source['not_looked_at'])}"
    return f"{known}, {source['not_ingested']} not ingested, {source['gone_from_source']} gone from the source"


def _print_last_run(last: dict[str, Any]) -> None:
    console.print(f"last run: {last['run']} {last['state']}, started {last['started']} by {last['user']}", soft_wrap=True)
    if trial := last.get("trial"):
        console.print(f"  {escape(trial_line(trial))}", soft_wrap=True)
    if reason := last.get("reason"):
        console.print(f"  {escape(reason)}", soft_wrap=True)
    if last["state"] == DIED:
        console.print("  its process is gone; the next run goes on where it was", soft_wrap=True)
    rest = f", {last['items_owed']} item-stages to go" + (
        f", about {duration(last['eta_seconds'])} left" if last["eta_seconds"] is not None else ""
    )
    done = f"  {last['items_done']} item-stages at {last['items_per_second']:.2f} a second"
    if not last.get("trial"):  # whose blocks are not those that are counted here
        console.print(done + (rest if last["items_owed"] else ""), soft_wrap=True)
    if last.get("prefect"):
        console.print(f"  in Prefect: {last['prefect']}", soft_wrap=True)


def print_failures(found: dict[str, Any]) -> None:
    """Dead letters: items, blocks and causes."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("item", "stage", "reason"):
        table.add_column(name, overflow="fold")
    for row in found["items"]:
        table.add_row(escape(row["item"]), row["stage"], escape(row["reason"]))
    if found["items"]:
        console.print(table)
    for row in found["causes"]:
        console.print(f"{row['items']} x {escape(row['cause'])}", soft_wrap=True)
    for row in found["blocks"]:
        console.print(f"[red]not made[/] {row['stage']} {row['block']}: {escape(row['message'])}", soft_wrap=True)
    for row in found["waived"]:
        console.print(f"[dim]waived[/] {escape(row['item'])} by {escape(row['by'])}: {escape(row['waived'])}", soft_wrap=True)
    if not (found["items"] or found["blocks"]):
        console.print("[green]Nothing failed[/]" + (" that is not waived" if found["waived"] else ""))
    else:
        print_command("Try again:  ", command("failures retry"))
    if found["items"]:
        print_command("Accept:     ", command("failures waive", "--reason", "looked at", item=found["items"][0]["item"]))


def print_garbage(found: Sequence[Garbage], dry_run: bool) -> None:
    """What goes, or would go."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("bytes", justify="right")
    table.add_column("why")
    table.add_column("what", overflow="fold")
    for one in found:
        table.add_row(size(one.bytes), one.why, escape(one.url))
    if found:
        console.print(table)
    total = sum(one.bytes for one in found)
    console.print(f"{len(found)} things, {size(total)}: {'would be removed (--dry-run)' if dry_run else 'removed'}")


def print_verification(blocks: int, count: int, broken: Sequence[Broken], strays: Mapping[str, Sequence[str]]) -> None:
    """What verification found."""
    for damage in broken:
        fix = damage.fix or "its receipt is withdrawn, the next run makes it again"
        console.print(f"[red]broken[/] {damage.stage} {damage.block}: {escape(fix)}", soft_wrap=True)
        for problem in damage.problems[:5]:
            console.print(f"  {escape(problem)}", soft_wrap=True)
    for url, names in strays.items():
        shown = f"{', '.join(names[:3])}{' ...' * (len(names) > 3)}"
        console.print(f"[yellow]stray[/] {escape(url)}: {escape(shown)}: no part of the block, nobody reads it", soft_wrap=True)
    if strays:
        print_command("Remove strays: ", command("gc"))
    console.print(f"{blocks} blocks, {size(count)} checked, {len(broken)} broken")
    if any(not damage.fix for damage in broken):
        print_command("Make them again: ", command("run"))
