"""``audit``: where the error of the labels comes from, and which panoramas to look at."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.commands.options import ConfigFile, JsonOption, RootOption, SetOption, SourceOption, load, print_json


def audit(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    items: Annotated[int | None, typer.Option(min=0, help="Worst panoramas to show; by default those of the stage.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure where the labels' error comes from, by direction, distance and class; without truth, where views disagree.

    Runs the stage ``audit`` of the pipeline, or one that is added to it, over the labels that are there, and writes an HTML page.
    """
    from flows.commands.running import make_owed
    from flows.plan import make_plan
    from flows.publishing.audit import owed_by, with_stage, write_page_of
    from flows.tables.audit import print_audit

    wanted, key = with_stage(load(config, source, root, settings), audit.__name__, {} if items is None else {"items": items})
    plan = make_plan(wanted, rehash=False)
    if owed := owed_by(wanted, plan, key):
        make_owed(wanted, plan, owed, as_json)
    found: dict[str, Any] = write_page_of(wanted, make_plan(wanted, rehash=False, receipts=None), key)
    (print_json if as_json else print_audit)(found)
