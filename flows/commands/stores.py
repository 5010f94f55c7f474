"""``status``, ``trace`` and ``gc``: commands about what is there."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.completion import complete_item, complete_stage
from flows.commands.options import ConfigFile, JsonOption, RootOption, SetOption, SourceOption, load, print_json


def status(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the state of the store and of its runs: what is done, how fast it goes, what failed, where to watch."""
    from flows.stores.status import store_status
    from flows.tables.run import print_status

    state = store_status(load(config, source, root, settings))
    if as_json:
        print_json(state)
    else:
        print_status(state)


def trace(
    config: ConfigFile,
    item: Annotated[
        str | None,
        typer.Argument(
            help="Name of a panorama; without one, all stages are told as a whole.",
            show_default=False,
            autocompletion=complete_item,
        ),
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Show this stage and what it was made from only.", autocompletion=complete_stage)
    ] = None,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the lineage of one label, or of all stages and models: pixels, weights, settings and code, with digests."""
    wanted = load(config, source, root, settings)
    from flows.stores.lineage import trace_all, trace_item
    from flows.tables.trace import print_trace

    lineage = trace_all(wanted, stage) if item is None else trace_item(wanted, item, stage)
    (print_json if as_json else print_trace)(lineage)


def collect_garbage(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    keep_runs: Annotated[int, typer.Option(min=0, help="Keep what the last so many runs of every config used.")] = 1,
    older_than: Annotated[float, typer.Option(min=0, help="Hours that unfinished data must have lain untouched.")] = 1.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what nothing needs: superseded fingerprints, data without a receipt, patch labels that are no longer wanted."""
    from flows.stores.garbage import collect, find_garbage
    from flows.tables.run import print_garbage

    wanted = load(config, source, root, settings)
    found = find_garbage(wanted, keep_runs, older_than)
    if not dry_run:
        collect(wanted, found)
    if as_json:
        print_json([{"url": one.url, "why": one.why, "bytes": one.bytes, "kind": one.kind} for one in found])
    else:
        print_garbage(found, dry_run)
