"""``adapt``: a source model adapts to unlabelled panoramas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.commands.options import (
    ConfigFile,
    JsonOption,
    RetryOption,
    RootOption,
    SetOption,
    SourceOption,
    overrides,
    print_json,
)

if TYPE_CHECKING:
    from configs.adapt import AdaptConfig


def adapt(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    retry_quarantined: RetryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Adapt a segmentation model to unlabelled panoramas, without its source data; run again to go on where it stopped."""
    from configs.adapt import load_adapt_config

    wanted = load_adapt_config(config, overrides(settings, source, root))
    record = _run(wanted, retry_quarantined, as_json)
    if as_json:
        print_json(record)
    else:
        _print(record)


def _run(config: AdaptConfig, retry: bool, quiet: bool) -> dict[str, Any]:
    from contextlib import nullcontext

    from flows.drain import draining_on_signals
    from flows.progress import Silent, TerminalProgress, reporting_to
    from flows.record import new_run_name
    from flows.server import prefect_server
    from flows.tables import console

    with prefect_server(config.execution.log_level):
        from flows.adapt import adapt as run_adaptation

        progress: Any = nullcontext(Silent()) if quiet else TerminalProgress(console)
        with progress as shown, reporting_to(shown), draining_on_signals():
            return run_adaptation(config, new_run_name(config.name), retry)


def _print(record: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from flows.tables import console, duration, size

    table = Table(title=f"Run {record['run']}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in ("stage", "cached", "ran", "quarantined", "work", "stored"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for row in record["stages"]:
        counts = (str(row[name]) for name in ("cached", "ran", "quarantined"))
        table.add_row(row["stage"], *counts, duration(row["seconds"]), size(row["bytes"]))
    console.print(table)
    if record["figures"]:
        figures = Table(title="Figures", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for name in ("model", *record["figures"]["source"]):
            figures.add_column(name, justify="left" if name == "model" else "right")
        for arm, own in record["figures"].items():
            figures.add_row(arm, *("–" if value is None else f"{value:.4f}" for value in own.values()))
        console.print(figures)
    console.print(f"\nReport: {record['report']}\nModel:  {record['model']}", soft_wrap=True)
