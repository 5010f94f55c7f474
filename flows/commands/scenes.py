"""``scenes``: procedural panoramas with exact ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def scenes(
    folder: Annotated[Path, typer.Argument(help="Where the data set goes.", show_default=False)],
    kind: Annotated[str, typer.Option(help="room, street or mixed.")] = "mixed",
    count: Annotated[int, typer.Option(min=1, help="Number of panoramas.")] = 8,
    seed: Annotated[int, typer.Option(help="First scene's seed.")] = 0,
    height: Annotated[int, typer.Option(min=16, help="Rows of each panorama; it is twice as wide.")] = 512,
    supersample: Annotated[int, typer.Option(min=1, help="Colour rays per pixel along each side.")] = 2,
    amodal: Annotated[bool, typer.Option(help="Write amodal masks too.")] = True,
    clips: Annotated[bool, typer.Option("--clips", help="Clips of a camera that walks past things that move.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each clip, or of each of its shots.")] = 2.0,
    rate: Annotated[int, typer.Option(min=1, max=1000, help="Frames a second of each clip.")] = 10,
    shots: Annotated[int, typer.Option(min=1, help="Shots of each clip, one after the other, each of that length.")] = 1,
    dusk: Annotated[bool, typer.Option("--dusk", help="Another place: dim light, greyer surfaces, a noisy sensor.")] = False,
) -> None:
    """Render a data set of procedural panoramas, or of clips, with exact ground truth."""
    if clips:
        from scenes.clips import write_clips

        write_clips(folder, kind, count, seed, height, seconds, rate, supersample=supersample, shots=shots)
        typer.echo(f"{count} clips with ground truth in {folder}")
        return
    from scenes.dataset import write_dataset

    write_dataset(folder, kind, count, seed, height, 2 * height, supersample=supersample, amodal=amodal, dusk=dusk)
    typer.echo(f"{count} panoramas with ground truth in {folder}")
