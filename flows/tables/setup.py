"""Checks, surveys and costs as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from flows.growth import Growth
from flows.invocation import command_for
from flows.text import console, duration, size

if TYPE_CHECKING:
    from flows.setup.checks import Check
    from flows.setup.cost import Cost
    from flows.setup.init import Survey

COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


def print_checks(checks: Sequence[Check]) -> None:
    """One row a check, then how many failed."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("check", no_wrap=True)
    table.add_column("state")
    table.add_column("seen", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for check in checks:
        state = f"[{COLOURS[check.state]}]{check.state}[/]"
        table.add_row(escape(check.name), state, escape(check.seen), escape(check.advice))
    console.print(table)
    counts = {state: sum(check.state == state for check in checks) for state in COLOURS}
    console.print(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['failure']} failures")


def print_survey(survey: Survey, path: Path, grows: Growth) -> None:
    """What was found, and what to do next."""
    formats = ", ".join(f"{count} {name}" for name, count in survey.formats.items())
    console.print(f"{survey.panoramas} panoramas ({formats}), {survey.with_metadata} with capture metadata", soft_wrap=True)
    sizes = ", ".join(f"{count} of {size}" for size, count in survey.sizes.items())
    console.print(f"looked at {survey.looked_at}: {sizes}", soft_wrap=True)
    if survey.figures:
        console.print(f"looked into: {survey.figures}", soft_wrap=True)
    for problem in [*survey.not_two_to_one, *survey.unreadable, *survey.doubtful][:10]:
        console.print(f"[yellow]would be quarantined[/] {escape(problem)}", soft_wrap=True)
    for note in survey.notes:
        console.print(f"[yellow]source:[/] {escape(note)}", soft_wrap=True)
    if survey.truth:
        console.print(f"ground truth: {escape(survey.truth)}", soft_wrap=True)
    console.print(f"about: {grows.words}", soft_wrap=True, highlight=False)
    console.print(f"\nwritten: {escape(str(path))}", soft_wrap=True)
    console.print(f"next:    {escape(command_for(path, 'plan'))}", soft_wrap=True, highlight=False)


def print_cost(config: Path, cost: Cost) -> None:
    """One row a stage and one of the totals."""
    table = Table(title=f"{cost.panoramas} panoramas, {cost.workers} workers", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("stage", no_wrap=True)
    for name in ("work", "wall", "GPU-hours", "stored", "task runs"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("note", overflow="fold", min_width=20)
    for row in cost.stages:
        gpu = "–" if row.gpu_seconds is None else f"{row.gpu_seconds / 3600:.3g}"
        figures = (duration(row.worker_seconds), duration(row.wall_seconds), gpu, size(row.bytes))
        table.add_row(row.stage, *figures, str(row.task_runs), escape(row.note))
    total = cost.as_json()["total"]
    gpu = "–" if total["gpu_hours"] is None else f"{total['gpu_hours']:.3g}"
    figures = (duration(total["worker_seconds"]), duration(total["wall_seconds"]), gpu, size(total["bytes"]))
    table.add_section()
    table.add_row("total", *figures, str(total["task_runs"]), f"in {total['flow_runs']} flow runs")
    console.print(table)
    console.print(f"Prefect's database: about {size(total['database_bytes'])}")
    if len(set(cost.store.values())) > 1:
        modes = ", ".join(f"{size(count)} with `keep: {mode}`" for mode, count in cost.store.items())
        stages = ", ".join(row.stage for row in cost.stages if row.kept)
        console.print(f"The store holds at most {modes} in {stages}")
    if total["price"] is not None:
        console.print(f"GPUs: {total['price']:.2f} at {cost.price_per_gpu_hour:g} an hour")
    if missing := cost.as_json()["to_measure"]:
        console.print(f"[yellow]The totals lack {', '.join(missing)}:[/] run {escape(str(config))} on a few panoramas first")
