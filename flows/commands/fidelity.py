"""``audit``: where the error of the labels comes from, and which panoramas to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import ConfigFile, JsonOption, RootOption, SetOption, SourceOption, load, print_json

if TYPE_CHECKING:
    from configs.schema import Config
    from flows.plan import Plan


def audit(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    items: Annotated[int | None, typer.Option(min=0, help="Worst panoramas to show; by default audit.items.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure where the labels' error comes from, by direction, distance and class; without truth, where views disagree.

    Audits what is fused and not audited yet, and writes an HTML page.
    """
    from flows.fidelity import owed_by_audit, with_audit, write_audit
    from flows.plan import make_plan
    from tasks.ingest.ingest import as_read

    wanted = with_audit(load(config, source, root, settings), items)
    plan = make_plan(as_read(wanted))
    if owed := owed_by_audit(wanted, plan):
        _run(wanted, owed, plan, quiet=as_json)
    found = write_audit(wanted, plan)
    if as_json:
        print_json(found)
    else:
        from flows.tables.audit import print_audit

        print_audit(found)


def _run(config: Config, owed: dict[str, list[str]], plan: Plan, quiet: bool) -> None:
    """Make the owed blocks on a Prefect server, as ``panolabel run`` does."""
    from contextlib import nullcontext
    from typing import Any

    from flows.running.drain import draining_on_signals
    from flows.running.handover import handing_over
    from flows.running.server import prefect_server
    from flows.stores.record import new_run_name
    from flows.tables.run import console
    from flows.telling.progress import Silent, TerminalProgress, reporting_to

    with prefect_server(config.execution.log_level):
        from flows.pipeline import pipeline

        progress: Any = nullcontext(Silent()) if quiet else TerminalProgress(console)
        with progress as shown, reporting_to(shown), draining_on_signals(), handing_over(plan):
            pipeline(config, new_run_name(config.name), False, owed)
