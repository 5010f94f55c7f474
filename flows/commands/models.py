"""``train``, ``predict``, ``adapt``, ``infer``: they write a pipeline's file beside its store, print it, and run it."""

from __future__ import annotations

import os
from collections.abc import Callable
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
MANY = 20
"""From so many pictures on, those that cannot be read are given up, as in any run, and not refused beforehand."""
ModelArgument = Annotated[str, typer.Argument(help="Folder, URL or hub id of a model.", show_default=False)]


def train(
    config: ConfigFile,
    root: StoreOption,
    of: Annotated[
        str | None, typer.Option(help="Stage that gives the labels; by default the only one.", autocompletion=complete_stage)
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimizer.")] = 180000,
    kind: Annotated[str, typer.Option(help="What learns: student, or cubemap, which sees six faces at once.")] = "student",
    name: Annotated[str | None, typer.Option(help="Name of the file and of its runs; by default the kind.")] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a network on the finished labels of a pipeline; what is finished is not done again, what was interrupted goes on.

    Settings of the network and its training are those of a stage: --set train.size=tiny.
    """
    from flows.stores.finished import labels_stage
    from tasks.pipeline import load

    found = labels_stage(load(config), of, option="--of")
    stages = {
        "labels": {"stage": "from", "config": str(config.resolve()), "of": found},
        "train": {**({"kind": kind} if kind != "student" else {}), "labels": "labels", "steps": steps},
    }
    _carry_out(name or kind, root, stages, settings, as_json)


def predict(
    model: ModelArgument,
    source: TargetOption,
    root: StoreOption,
    name: Annotated[str, typer.Option(help="Name of the file and of its runs.")] = "predictions",
    truth: TruthOption = None,
    height: Annotated[int | None, typer.Option(help="Rows of the predictions; by default those of training.")] = None,
    points: Annotated[str | None, typer.Option(help="Points or meshes too, to ROOT/points: ply, glb, mesh.glb, ...")] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict depth, normals and semantics of panoramas, with receipts and report; what is done is not done again."""
    from flows.publishing.points import Solids, write_points
    from storage.urls import join, location

    solids = Solids(points) if points is not None else None
    own = {"model": _from_root(model)} | ({"height": height} if height is not None else {})
    stages = {"target": _target(source, truth), "predict": own, "evaluate": {}}
    config = _carry_out(name, root, stages, settings, as_json)
    if solids is not None:
        written = write_points(config, join(config.root, "points"), solids)
        if not as_json:
            typer.echo(f"{len(written['files'])} files in {location(join(config.root, 'points'))}")


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


def infer(
    pictures: Annotated[list[str], typer.Argument(help="Panoramas: files, or one folder, glob or URL.", show_default=False)],
    out: Annotated[str, typer.Option(help="Folder for labels, store and report.", show_default=False)],
    model: Annotated[str, typer.Option(help="demo, or of six faces at once: cubemap, a folder, a hub id.")] = "demo",
    revision: Annotated[str | None, typer.Option(help="Commit of a hub id.")] = None,
    scene: Annotated[str, typer.Option(help="auto, indoor or outdoor: which scale of such a network is believed.")] = "auto",
    height: Annotated[int, typer.Option(help="Rows of the labels.")] = 1024,
    to: Annotated[str, typer.Option(help="Files of the labels, in OUT/labels: files, or pager.")] = "files",
    points: Annotated[str | None, typer.Option(help="Points or meshes too, to OUT/points: ply, glb, mesh.glb, ...")] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label pictures of your own: depth, normals, classes and sky as files; what is done is not done again."""
    from flows.publishing.files import export_files, refuse_layout
    from flows.publishing.points import Solids, write_points
    from storage.urls import join, location
    from tasks.label.teachers.inferring import inferring_stages

    refuse_layout(to)
    solids = Solids(points) if points is not None else None
    place = os.path.abspath(model) if os.path.isdir(model) else model
    stages = {"ingest": {"source": _listed(pictures, out)}, **inferring_stages(place, revision, scene, height)}
    config = _carry_out("infer", out, stages, settings, as_json, _refuse_unread if len(pictures) < MANY else None)
    told = export_files(config, to, join(config.root, "labels"))
    if solids is not None:
        write_points(config, join(config.root, "points"), solids)
    if not as_json:
        files = sum(len(one["files"]) for one in told["items"].values())
        typer.echo(f"labels of {len(told['items'])} panoramas, {files} files, in {location(join(config.root, 'labels'))}")


def _listed(pictures: list[str], out: str) -> dict[str, Any]:
    """A source: one folder, glob or URL as it is; files as a list of them in OUT. ConfigError if one is not there."""
    from configs.settings import ConfigError
    from storage.urls import is_local, join, write_bytes

    if len(pictures) == 1 and not os.path.isfile(pictures[0]) and (os.path.isdir(pictures[0]) or not is_local(pictures[0])):
        return {"url": _from_root(pictures[0])}
    if missing := [one for one in pictures if is_local(one) and not os.path.isfile(one)]:
        raise ConfigError(f"{missing[0]}: there is no such picture; name files, or one folder")
    rows = "".join(f'"{os.path.abspath(one) if is_local(one) else one}"\n'.replace("\\", "/") for one in pictures)
    place = join(out, "pictures.csv")
    write_bytes(place, f"uri\n{rows}".encode())
    folders = {os.path.dirname(os.path.abspath(one)) for one in pictures if is_local(one)}
    return {"url": _from_root(place), "allow": sorted(folders)}


def _refuse_unread(config: Any) -> None:
    """ConfigError if one of a few pictures cannot be labelled: it names the picture, what is wrong, and what to give."""
    from configs.settings import ConfigError
    from tasks.ingest.check import check_entry
    from tasks.ingest.datasets.listing import list_entries
    from tasks.pipeline import sources

    for stage in sources(config):
        for entry in list_entries(stage.settings.source)[:MANY]:
            if reason := check_entry(entry, stage.settings).reason:
                advice = "give whole panoramas, twice as wide as high; for parts of the sphere see docs/operations.md, Pictures"
                raise ConfigError(f"{entry.uri}: {reason}; {advice}")


def _target(source: str, truth: str | None) -> dict[str, Any]:
    own = {"url": _from_root(source)} | ({"truth": _from_root(truth)} if truth is not None else {})
    return {"stage": "ingest", "source": own}


def _from_root(place: str) -> str:
    """A place of the command line as any file may name it; what may be a hub id stays as it is."""
    from configs.places import is_relative

    return os.path.abspath(place) if is_relative(place) and (os.path.exists(place) or place.count("/") != 1) else place


def _carry_out(
    name: str,
    root: str,
    stages: dict[str, Any],
    settings: list[str] | None,
    as_json: bool,
    refuse: Callable[[Any], None] | None = None,
) -> Any:
    """Write the file to ROOT/NAME.yaml (where ROOT is no folder, to a copy here), print it, and run it.

    It is written once it was found to be a pipeline, and never over a file that another hand wrote. ``refuse`` may look at the
    config before.
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
    if refuse is not None:
        refuse(config)
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
