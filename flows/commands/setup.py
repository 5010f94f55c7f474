"""``doctor``, ``init``, ``schema`` and ``cost``: commands for the time before a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.completion import complete_config
from flows.commands.options import ConfigFile, JsonOption, RootOption, SetOption, SourceOption, load, print_json
from flows.commands.trial_options import (
    ItemsOption,
    LimitOption,
    SampleOption,
    SplitOption,
    StageOption,
    UntilOption,
    trial_of,
)

OptionalConfig = Annotated[
    Path | None,
    typer.Argument(
        help="YAML file of a pipeline, whose teachers, source and store are checked too.",
        show_default=False,
        autocompletion=complete_config,
    ),
]


def doctor(
    config: OptionalConfig = None,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    load_teachers: Annotated[bool, typer.Option("--load", help="Load each teacher and show what it says of one patch.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check this machine, and what a config needs: packages, devices, weights, source, store, disk, clock, Prefect."""
    if load_teachers and config is None:
        raise typer.BadParameter("needs a config, whose teachers are loaded: panolabel doctor CONFIG --load", param_hint="--load")
    from flows.setup.checks import has_failed
    from flows.setup.doctor import diagnose
    from flows.tables.setup import print_checks

    reading = None if config is None else partial(load, config, source, root, settings)
    checks = diagnose(reading, load_teachers)
    failed = has_failed(checks)
    if as_json:
        print_json({"ok": not failed, "checks": [check.as_json() for check in checks]})
    else:
        print_checks(checks)
    raise typer.Exit(int(failed))


def init(
    source: Annotated[str, typer.Argument(metavar="FOLDER_OR_URL", help="Where your panoramas are.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="File to write; by default NAME.yaml here, named after the source.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a source and write a commented config that fits it. Never overwrites a config."""
    from flows.setup.init import growth_of_all, look_at, write_config
    from flows.tables.setup import print_survey

    survey = look_at(source)
    path = write_config(survey, out)
    grows = growth_of_all(survey, str(path.absolute().parent))
    if as_json:
        print_json({"config": str(path), **survey.as_json(), "store": dict(grows.bytes)})
    else:
        print_survey(survey, path, grows)


def schema(
    out: Annotated[Path | None, typer.Option(help="File to write; standard output by default.", show_default=False)] = None,
) -> None:
    """Print the JSON schema of the config, by which editors complete and check its YAML."""
    from storage.urls import write_bytes
    from tasks.schema import schema_text

    if out is None:
        typer.echo(schema_text(), nl=False)
    else:
        write_bytes(str(out), schema_text().encode())


def cost(
    config: ConfigFile,
    panoramas: Annotated[
        int | None,
        typer.Option(min=1, help="How many panoramas are to be labelled; those that are chosen by default.", show_default=False),
    ] = None,
    price_per_gpu_hour: Annotated[float | None, typer.Option(min=0, help="What a GPU costs an hour.", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Blocks in work at once; those of the config by default.")] = None,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    limit: LimitOption = None,
    items: ItemsOption = None,
    sample: SampleOption = None,
    split: SplitOption = None,
    stage: StageOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate GPU-hours, wall time, bytes and Prefect runs from what the store's own receipts have measured."""
    from flows.setup.cost import estimate_cost
    from flows.tables.setup import print_cost

    wanted = load(config, source, root, settings)
    trial = trial_of(limit=limit, items=items, sample=sample, split=split, stage=stage, until=until)
    estimated = estimate_cost(wanted, panoramas, workers, price_per_gpu_hour, trial)
    if as_json:
        print_json(estimated.as_json())
    else:
        print_cost(config, estimated)


def migrate(
    config: Annotated[Path, typer.Argument(help="YAML file as panolabel 0.1 wrote it.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="File to write, which must not be there yet; printed if none is given.")
    ] = None,
) -> None:
    """Print a config of the old form in the form of today. Stores that it made are read as before."""
    from configs.settings import ConfigError
    from tasks.migration import migrated_file

    text = migrated_file(config)
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.exists():
        raise ConfigError(f"{out}: is there already and stays as it is; give another file with --out")
    out.write_text(text, encoding="utf-8")
    typer.echo(str(out))
