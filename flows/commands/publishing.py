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
    keep_removed: Annotated[bool, typer.Option("--keep-removed", help="Keep panoramas that are in the source no more.")] = False,
    list_versions: Annotated[bool, typer.Option("--list", help="Show what is published, and publish nothing.")] = False,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish finished labels as an immutable version under a stable name, for training."""
    from flows.deploying.asked_first import publish_when_approved
    from flows.publishing.publish import publish as publish_labels
    from flows.publishing.publish import published_versions

    wanted = load(config, source, root, settings)
    if list_versions:
        shown = published_versions(wanted, name, to)
    else:
        make = publish_when_approved if wanted.execution.approval else publish_labels
        shown = [make(wanted, name=name, allow_incomplete=allow_incomplete, to=to, stage=stage, keep_removed=keep_removed)]
    if as_json:
        print_json(shown if list_versions else shown[0])
        return
    for one in shown:
        marks = " latest" * one["latest"] + " incomplete" * (not one["complete"])
        typer.echo(f"{one['version']}  {one['created']}  {one['panoramas']} panoramas  {one['bytes'] / 1e6:.1f} MB{marks}")
    if not list_versions:
        typer.echo(f"{'published' if shown[0]['new'] else 'was published already'}: {shown[0]['url']}")
        _tell_names("left out, gone from the source or forgotten", shown[0]["left_out"])
        _tell_names("kept, though gone from the source (--keep-removed)", shown[0]["kept_removed"])
    elif not shown:
        typer.echo("nothing is published under this name")


def _tell_names(what: str, names: list[str]) -> None:
    """How many panoramas, and the first of them; nothing where there are none."""
    if names:
        typer.echo(f"{what}: {len(names)} ({', '.join(names[:3])}{', ...' * (len(names) > 3)})")


def export(
    config: ConfigFile,
    folder: Annotated[str, typer.Argument(help="Folder or URL that the shards go to.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(
            help="webdataset or parquet; files: a folder a panorama; pager: as PaGeR; of clips webdataset, cosmos, panoworld.",
            show_default=False,
        ),
    ],
    stage: StageOption = None,
    allow_incomplete: IncompleteOption = False,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="Of clips: names, times and labels alone.")] = False,
    height: Annotated[int | None, typer.Option(help="Of clips: rows of the videos; by default their own.")] = None,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export finished labels: with their images as WebDataset shards or Hugging Face Parquet, or as plain files; or clips."""
    from flows.publishing.clip_files import How
    from flows.publishing.export import export as export_labels

    clips = How(not no_pictures, height) if no_pictures or height is not None else None
    index = export_labels(load(config, source, root, settings), to, folder, allow_incomplete, stage=stage, clips=clips)
    if as_json:
        print_json(index)
    elif "clips" in index:
        left_out = index.get("left_out", {})
        typer.echo(f"{index['clips']} clips in {len(index.get('files') or index['shards'])} files in {folder}")
        _tell_names(f"left out of some files ({next(iter(left_out.values()), '')})", [*left_out])
    elif "items" in index:
        files = sum(len(one["files"]) for one in index["items"].values())
        typer.echo(f"{len(index['items'])} panoramas in {files} files in {folder}; labels.json says what they are")
    else:
        typer.echo(f"{sum(shard['items'] for shard in index['shards'])} panoramas in {len(index['shards'])} shards in {folder}")


def points(
    config: ConfigFile,
    folder: Annotated[str, typer.Argument(help="Folder or URL that the files go to.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(help="ply, glb, las, laz: points; mesh.glb, mesh.ply: surfaces; splat.ply; colmap, nerfstudio."),
    ] = "ply",
    item: Annotated[list[str] | None, typer.Option(help="Only this panorama. May be repeated.")] = None,
    max_incidence: Annotated[
        float, typer.Option(help="Degrees. Surfaces seen more obliquely are tears, and left out; 90 tears nothing.")
    ] = 80,
    max_points: Annotated[
        int | None, typer.Option(help="About how many points of each panorama; by default one a pixel, in projects 100,000.")
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="One file of all, each where its metadata says that it stood, as projects do.")
    ] = False,
    stage: StageOption = None,
    allow_incomplete: IncompleteOption = False,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write finished labels or predictions in three dimensions, one file a panorama, or all as one model."""
    from flows.publishing.points import Solids, write_points

    how = Solids(to, max_incidence, max_points, together)
    written = write_points(load(config, source, root, settings), folder, how, item or (), allow_incomplete, stage)
    if as_json:
        print_json(written)
        return
    for one in written["files"]:
        counts = [f"{one[what]:>9} {what}" for what in ("pictures", "points", "triangles") if what in one]
        counts += [f"of {len(one['items'])} panoramas"] if "items" in one else []
        typer.echo(f"{' '.join(counts)}  {one['file']}")
    for name, reason in written["skipped"].items():
        typer.echo(f"skipped {name}: {reason}")
