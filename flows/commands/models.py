"""``train``, ``predict`` and ``adapt``: short commands that write a pipeline's file beside its store, print it, and run it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.completion import complete_stage
from flows.commands.options import ConfigFile, JsonOption, SetOption

StoreOption = Annotated[str, typer.Option("--root", help="Store for what is made, receipts and reports.", show_default=False)]
TargetOption = Annotated[
    str, typer.Option("--source", help="Folder, glob, bucket URL, or .csv/.parquet list of panoramas.", show_default=False)
]
TruthOption = Annotated[str | None, typer.Option(help="Data set folder with the truth to compare with.")]
WRITTEN = "# Written by a short command of panolabel, which may write it anew: change a copy."
"""First line of the files of these commands: only such a file is ever overwritten."""
ModelArgument = Annotated[str, typer.Argument(help="Folder, URL or hub id of a model.", show_default=False)]


def train(
    config: ConfigFile,
    root: StoreOption,
    of: Annotated[
        str | None, typer.Option(help="Stage that gives the labels; by default the only one.", autocompletion=complete_stage)
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimizer.")] = 180000,
    name: Annotated[str, typer.Option(help="Name of the file and of its runs.")] = "student",
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a student on the finished labels of a pipeline; what is finished is not done again, what was interrupted goes on.

    Settings of the student and its training are those of a stage: --set train.size=tiny.
    """
    from flows.stores.finished import labels_stage
    from tasks.pipeline import load

    found = labels_stage(load(config), of, option="--of")
    stages = {
        "labels": {"stage": "from", "config": str(config.resolve()), "of": found},
        "train": {"labels": "labels", "steps": steps},
    }
    _carry_out(name, root, stages, settings, as_json)


def predict(
    model: ModelArgument,
    source: TargetOption,
    root: StoreOption,
    name: Annotated[str, typer.Option(help="Name of the file and of its runs.")] = "predictions",
    truth: TruthOption = None,
    height: Annotated[int | None, typer.Option(help="Rows of the predictions; by default those of training.")] = None,
    points: Annotated[str | None, typer.Option(help="Point clouds too, to ROOT/points: ply or glb.")] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict depth, normals and semantics of panoramas, with receipts and report; what is done is not done again."""
    from flows.publishing.points import check_format, write_points
    from storage.urls import join, location

    if points is not None:
        check_format(points)
    own = {"model": _from_root(model)} | ({"height": height} if height is not None else {})
    stages = {"target": _target(source, truth), "predict": own, "evaluate": {}}
    config = _carry_out(name, root, stages, settings, as_json)
    if points is not None:
        written = write_points(config, join(config.root, "points"), points)
        if not as_json:
            typer.echo(f"{len(written['files'])} point clouds in {location(join(config.root, 'points'))}")


def adapt(
    model: ModelArgument,
    source: TargetOption,
    root: StoreOption,
    name: Annotated[str, typer.Option(help="Name of the file and of its runs.")] = "adaptation",
    truth: TruthOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Adapt a model to unlabelled panoramas, without the data that it learned from.

    Settings are those of a stage: --set adapt.training.steps=2000.
    """
    compared: dict[str, Any] = {"compare": {}} if truth is not None else {}
    stages = {"target": _target(source, truth), "adapt": {"model": _from_root(model)}, **compared}
    _carry_out(name, root, stages, settings, as_json)


def _target(source: str, truth: str | None) -> dict[str, Any]:
    own = {"url": _from_root(source)} | ({"truth": _from_root(truth)} if truth is not None else {})
    return {"stage": "ingest", "source": own}


def _from_root(place: str) -> str:
    """A place of the command line as any file may name it; what may be a hub id stays as it is."""
    from configs.places import is_relative

    return os.path.abspath(place) if is_relative(place) and (os.path.exists(place) or place.count("/") != 1) else place


def _carry_out(name: str, root: str, stages: dict[str, Any], settings: list[str] | None, as_json: bool) -> Any:
    """Write the file to ROOT/NAME.yaml (where ROOT is no folder, to a copy here), print it, and run it.

    It is written once it was found to be a pipeline, and never over a file that another hand wrote.
    """
    import yaml

    from configs.reading import lay_over
    from flows.commands.options import overrides
    from flows.commands.running import finish
    from flows.invocation import remember
    from storage.fingerprint import digest
    from storage.urls import filesystem, is_local, join, write_bytes
    from tasks.pipeline import load_values

    values: dict[str, Any] = {"name": name, "root": "." if is_local(root) else root, "stages": stages}
    lay_over(values, overrides(settings))
    text = f"{WRITTEN}\n{yaml.safe_dump(values, sort_keys=False)}"
    # Commands take files: where the store is no folder, one here says the same.
    path = Path(filesystem(root)[1]) / f"{name}.yaml" if is_local(root) else Path(f"{name}-{digest(root)[:8]}.yaml")
    _refuse_other(path)
    config = load_values(path, values)
    if not is_local(root):
        write_bytes(join(root, f"{name}.yaml"), text.encode())
    write_bytes(str(path), text.encode())
    remember(path)
    if not as_json:
        typer.echo(f"# {path}\n{text}")
    finish(path, config, as_json=as_json)
    return config


def _refuse_other(path: Path) -> None:
    """ConfigError if there is a file that none of these commands wrote."""
    from configs.settings import ConfigError

    if path.exists() and not (path.is_file() and path.read_bytes().startswith(WRITTEN.encode())):
        raise ConfigError(
            f"{path}: is there already, and no such command wrote it; it stays as it is: give another --name or --root"
        )
