"""``train`` and ``predict``: students of the labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.completion import complete_config
from flows.commands.options import JsonOption, SetOption, print_json

if TYPE_CHECKING:
    from flows.train import TrainingPlan
    from tasks.train.student.settings import TrainingConfig

TrainingFile = Annotated[
    Path, typer.Argument(help="YAML file of the training.", show_default=False, autocompletion=complete_config)
]


def train(
    config: TrainingFile,
    root: Annotated[str | None, typer.Option(help="Store for students and their receipts; replaces root.")] = None,
    settings: SetOption = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Say what would be trained and why, and stop.")] = False,
    check: Annotated[bool, typer.Option("--check", help="With --plan: exit with 1 if anything would be trained.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check a finished student's bytes; exit with 1 if any changed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a student on finished labels; what is finished is not done again, what was interrupted goes on."""
    from flows.running.server_settings import import_prefect
    from flows.tables.training import print_student, training_table
    from flows.text import console

    wanted = _load(config, root, settings)
    import_prefect()
    from flows.train import plan_training

    plan = plan_training(wanted)
    if verify:
        raise typer.Exit(_verify(plan, as_json))
    if plan_only or plan.finished:
        if as_json:
            print_json(plan.as_json())
        else:
            console.print(training_table(plan.as_json()))
            print_student(plan.as_json())
        raise typer.Exit(int(plan_only and check and not plan.finished))
    if int(os.environ.get("RANK", "0")) > 0:  # one of several processes that `accelerate launch` started; the first one tells
        from flows.train import train_beside

        train_beside(plan)
        return
    if not as_json:
        console.print(training_table(plan.as_json()))
    record = _carry_out(plan, as_json)
    if as_json:
        print_json(record)
    else:
        print_student(record)


def _verify(plan: TrainingPlan, as_json: bool) -> int:
    from flows.train import verify_training

    checked = verify_training(plan)
    if as_json:
        print_json(checked)
    else:
        typer.echo(f"{checked['files']} files, {checked['bytes'] / 1e6:.1f} MB checked, {len(checked['broken'])} broken")
        for line in checked["broken"]:
            typer.echo(line)
    if checked["broken"]:
        typer.echo(f"restore them from a copy, or remove {checked['url']}/receipt.json to train again", err=True)
    return int(bool(checked["broken"]))


def _load(path: Path, root: str | None, settings: list[str] | None) -> TrainingConfig:
    from configs.settings import ConfigError
    from flows.commands.options import overrides
    from flows.invocation import remember

    remember(path, None, root, settings)
    try:
        from tasks.train.student.settings import load_training
    except ModuleNotFoundError as error:
        raise ConfigError(f"training needs the package {error.name}: pip install 'panolabel[train]'") from error
    return load_training(path, ({"root": root} if root else {}) | overrides(settings))


def _carry_out(plan: TrainingPlan, as_json: bool) -> dict[str, Any]:
    from contextlib import nullcontext

    from flows.running.drain import draining_on_signals
    from flows.running.server import prefect_server
    from flows.telling.progress import Silent, TerminalProgress, reporting_to
    from flows.text import console
    from flows.train import new_training_run, training_flow

    config = plan.training.config
    with prefect_server(config.log_level):
        progress: Any = nullcontext(Silent()) if as_json else TerminalProgress(console)
        with progress as shown, reporting_to(shown), draining_on_signals():
            return training_flow(config, new_training_run(config))


def predict(
    model: Annotated[str, typer.Argument(help="Folder or URL of a student of `panolabel train`.", show_default=False)],
    source: Annotated[
        str, typer.Option(help="Folder, glob, bucket URL, or .csv/.parquet list of panoramas.", show_default=False)
    ],
    root: Annotated[str, typer.Option(help="Store for predictions, receipts and reports.", show_default=False)],
    name: Annotated[str, typer.Option(help="Name of the config that is written to the store.")] = "predictions",
    truth: Annotated[str | None, typer.Option(help="Data set folder with the truth to compare with.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows of the predictions; by default those of training.")] = None,
    points: Annotated[str | None, typer.Option(help="Point clouds too, to ROOT/points: ply or glb.")] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict depth, normals and semantics of panoramas, with receipts and report; what is done is not done again.

    The config that does it is written to ROOT/NAME.yaml: `status`, `trace`, `verify`, `points`, `publish` and `export` take it.
    Where ROOT is no folder, a copy is written here.
    """
    import yaml

    from configs.reading import validated
    from flows.commands.options import overrides
    from flows.commands.running import finish
    from flows.invocation import remember
    from flows.publishing.points import check_format, write_points
    from storage.fingerprint import digest
    from storage.urls import filesystem, is_local, join, location, read_bytes, write_bytes

    values: dict[str, Any] = {"name": name, "root": root, "source": {"url": source, "truth": truth}}
    if points is not None:
        check_format(points)
    values["student"] = {"model": model, "height": height}
    config = validated(values, overrides(settings), "predict")
    url = join(config.root, f"{name}.yaml")
    write_bytes(url, yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True), sort_keys=False).encode())
    path = Path(filesystem(url)[1]) if is_local(url) else Path(f"{name}-{digest(config.root)[:8]}.yaml")
    if not is_local(url):  # commands take files: one here says the same
        path.write_bytes(read_bytes(url))
    remember(path)
    finish(path, config, as_json=as_json)
    if points is not None:
        written = write_points(config, join(config.root, "points"), points)
        if not as_json:
            typer.echo(f"{len(written['files'])} point clouds in {location(join(config.root, 'points'))}")
