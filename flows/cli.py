"""The command line: ``panolabel plan | run | status | trace | verify | scenes``.

Exit codes: 0 done, 1 the run failed or ``plan --check`` found work, 2 the config, source or item cannot be used.
Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from configs.schema import Config

app = typer.Typer(
    help="Audited dense labels for 360-degree panoramas, without annotators.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

ConfigFile = Annotated[Path, typer.Argument(help="YAML file of the pipeline.", show_default=False)]
SourceOption = Annotated[str | None, typer.Option(help="Folder, glob, bucket URL, or .csv/.parquet list; replaces source.url.")]
RootOption = Annotated[str | None, typer.Option(help="Store for labels, receipts and reports; replaces root.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Replace a value: --set fuse.height=512. May be repeated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RetryOption = Annotated[bool, typer.Option("--retry-quarantined", help="Try quarantined items again.")]


def _load(path: Path, source: str | None, root: str | None, settings: list[str] | None) -> Config:
    import yaml

    from configs.schema import ConfigError, load_config

    overrides: dict[str, Any] = {}
    if source is not None:
        # Truth belongs to the config's own source, not to the one that replaces it.
        overrides |= {"source.url": source, "source.truth": None}
    if root is not None:
        overrides["root"] = root
    for setting in settings or []:
        key, separator, value = setting.partition("=")
        if not separator:
            raise ConfigError(f"--set {setting}: must have the form key=value")
        overrides[key] = yaml.safe_load(value)
    return load_config(path, overrides)


@app.command()
def plan(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    retry_quarantined: RetryOption = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if anything would run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say per stage what is cached, what would run, and why."""
    from flows.plan import make_plan
    from flows.tables import console, plan_table

    made = make_plan(_load(config, source, root, settings), retry_quarantined)
    if as_json:
        print(json.dumps(made.as_json(), indent=1))
    else:
        console.print(plan_table(made))
    raise typer.Exit(int(check and made.anything_to_run))


@app.command()
def run(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    retry_quarantined: RetryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run what the plan says; what is done stays done, so running again goes on where a run stopped."""
    from flows.plan import make_plan
    from flows.record import new_run_name
    from flows.tables import console, plan_table, print_nothing_to_do, print_outcome

    wanted = _load(config, source, root, settings)
    made = make_plan(wanted, retry_quarantined)
    if not as_json:
        console.print(plan_table(made))
    if not made.anything_to_run:
        if as_json:
            print(json.dumps({"state": "nothing to run", **made.as_json()}))
        else:
            print_nothing_to_do(wanted)
        return
    record = _run_pipeline(wanted, new_run_name(wanted.name), retry_quarantined, show=not as_json)
    if as_json:
        print(json.dumps(record))
    else:
        print_outcome(config, wanted, record)


def _run_pipeline(config: Config, name: str, retry_quarantined: bool, show: bool) -> dict[str, Any]:
    from contextlib import nullcontext

    from flows.progress import Silent, TerminalProgress, reporting_to
    from flows.server import prefect_server
    from flows.tables import console

    with prefect_server(config.execution.log_level):
        from flows.pipeline import pipeline

        with TerminalProgress(console) if show else nullcontext(Silent()) as progress, reporting_to(progress):
            return pipeline(config, name, retry_quarantined)


@app.command()
def status(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the state of the store: what is done, what is quarantined, how the last run ended."""
    from flows.store import store_status
    from flows.tables import print_status

    state = store_status(_load(config, source, root, settings))
    if as_json:
        print(json.dumps(state, indent=1))
    else:
        print_status(state)


@app.command()
def trace(
    config: ConfigFile,
    item: Annotated[str, typer.Argument(help="Name of the panorama.", show_default=False)],
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the lineage of one label: pixels, weights, settings and code, with digests."""
    from flows.store import trace_item
    from flows.tables import print_trace

    lineage = trace_item(_load(config, source, root, settings), item)
    if as_json:
        print(json.dumps(lineage, indent=1))
    else:
        print_trace(lineage)


@app.command()
def verify(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every stored byte against its receipt; a broken block is owed again. Exits with 1 if any is broken."""
    from flows.store import verify_store
    from flows.tables import print_verification

    checked = list(verify_store(_load(config, source, root, settings)))
    broken = [damage for _, damage in checked if damage is not None]
    size = sum(count for count, _ in checked)
    if as_json:
        rows = [{"stage": b.stage, "block": b.block, "problems": b.problems} for b in broken]
        print(json.dumps({"blocks": len(checked), "bytes": size, "broken": rows}, indent=1))
    else:
        print_verification(len(checked), size, broken)
    raise typer.Exit(int(bool(broken)))


@app.command()
def scenes(
    folder: Annotated[Path, typer.Argument(help="Where the data set goes.", show_default=False)],
    kind: Annotated[str, typer.Option(help="room, street or mixed.")] = "mixed",
    count: Annotated[int, typer.Option(min=1, help="Number of panoramas.")] = 8,
    seed: Annotated[int, typer.Option(help="First scene's seed.")] = 0,
    height: Annotated[int, typer.Option(min=16, help="Rows of each panorama; it is twice as wide.")] = 512,
    supersample: Annotated[int, typer.Option(min=1, help="Colour rays per pixel along each side.")] = 2,
    amodal: Annotated[bool, typer.Option(help="Write amodal masks too.")] = True,
) -> None:
    """Render a data set of procedural panoramas with exact ground truth."""
    from scenes.dataset import write_dataset

    write_dataset(folder, kind, count, seed, height, 2 * height, supersample=supersample, amodal=amodal)
    typer.echo(f"{count} panoramas with ground truth in {folder}")


def main() -> None:
    """Entry point: errors that a user can mend are one message on stderr, not a traceback."""
    try:
        app()
    except Exception as error:
        if not _is_for_the_user(error):
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1 if type(error).__name__ in ("RunFailed", "ServerError") else 2) from None


def _is_for_the_user(error: Exception) -> bool:
    """Whether the message carries the fix; recognised by name where importing the class would cost a second."""
    known = type(error).__name__ in ("RunFailed", "ServerError")
    return known or isinstance(error, (ValueError, FileNotFoundError, PermissionError))


if __name__ == "__main__":
    main()
