"""``publish``, ``export`` and ``points``: finished labels for those who train on them or look at them."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.completion import complete_stage
from flows.commands.options import ConfigFile, JsonOption, RootOption, SetOption, SourceOption, load, print_json

IncompleteOption = Annotated[bool, typer.Option("--allow-incomplete", help="Take what is finished even if blocks are owed.")]
StageOption = Annotated[
    str | None, typer.Option(help="Stage that gives the labels; by default the only one.", autocompletion=complete_stage)
]


def publish(
    config: ConfigFile,
    name: Annotated[str | None, typer.Option(help="Name of the publication; the config's own if none is given.")] = None,
    to: Annotated[str, typer.Option(help="zarr, or icechunk: snapshots of one repository.")] = "zarr",
    stage: StageOption = None,
    allow_incomplete: IncompleteOption = False,
    list_versions: Annotated[bool, typer.Option("--list", help="Show what is published, and publish nothing.")] = False,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish finished labels as an immutable version under a stable name, for training."""
    from flows.publishing.publish import publish as publish_labels
    from flows.publishing.publish import published_versions

    wanted = load(config, source, root, settings)
    shown = published_versions(wanted, name, to) if list_versions else [publish_labels(wanted, name, allow_incomplete, to, stage)]
    if as_json:
        print_json(shown if list_versions else shown[0])
        return
    for one in shown:
        marks = " latest" * one["latest"] + " incomplete" * (not one["complete"])
        typer.echo(f"{one['version']}  {one['created']}  {one['panoramas']} panoramas  {one['bytes'] / 1e6:.1f} MB{marks}")
    if not list_versions:
        typer.echo(f"{'published' if shown[0]['new'] else 'was published already'}: {shown[0]['url']}")
    elif not shown:
        typer.echo("nothing is published under this name")


def export(
    config: ConfigFile,
    folder: Annotated[str, typer.Argument(help="Folder or URL that the shards go to.", show_default=False)],
    to: Annotated[str, typer.Option(help="webdataset or parquet.", show_default=False)],
    stage: StageOption = None,
    allow_incomplete: IncompleteOption = False,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export images with their finished labels as WebDataset shards or Hugging Face Parquet."""
    from flows.publishing.export import export as export_labels

    index = export_labels(load(config, source, root, settings), to, folder, allow_incomplete, stage=stage)
    if as_json:
        print_json(index)
    else:
        typer.echo(f"{sum(shard['items'] for shard in index['shards'])} panoramas in {len(index['shards'])} shards in {folder}")


def points(
    config: ConfigFile,
    folder: Annotated[str, typer.Argument(help="Folder or URL that the files go to.", show_default=False)],
    to: Annotated[str, typer.Option(help="ply or glb.")] = "ply",
    item: Annotated[list[str] | None, typer.Option(help="Only this panorama. May be repeated.")] = None,
    stage: StageOption = None,
    allow_incomplete: IncompleteOption = False,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write finished labels or predictions as coloured point clouds, one file a panorama."""
    from flows.publishing.points import write_points

    written = write_points(load(config, source, root, settings), folder, to, item or (), allow_incomplete, stage)
    if as_json:
        print_json(written)
        return
    for one in written["files"]:
        typer.echo(f"{one['points']:>9} points  {one['file']}")
    for name, reason in written["skipped"].items():
        typer.echo(f"skipped {name}: {reason}")
