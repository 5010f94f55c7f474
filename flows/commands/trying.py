"""``try``: one item of one stage, made and held against what is stored, without storing anything."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.completion import complete_item, complete_stage
from flows.commands.options import ConfigFile, JsonOption, RootOption, SetOption, load, print_json

NOTHING_MADE = 4
"""Exit code where the stage gave the item up."""


def attempt(
    config: ConfigFile,
    stage: Annotated[str, typer.Argument(help="Key of the stage.", show_default=False, autocompletion=complete_stage)],
    item: Annotated[
        str | None, typer.Option(help="Name of the panorama.", show_default=False, autocompletion=complete_item)
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="File of the picture: .jpg, .png or .webp.", show_default="try-STAGE-ITEM.jpg")
    ] = None,
    golden: Annotated[
        int | None,
        typer.Option(min=1, help="Make N stored items again; exit with 1 if any is not the same.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --golden: which N.")] = 0,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one item of a stage from its stored inputs, store nothing, and say and draw how it differs from what is stored.

    With --set of an earlier stage the item's inputs must have been made with that: what is not there is named, with the command
    that makes it. With --golden the question is whether another version of the code or of a library moves labels.
    """
    from configs.settings import ConfigError
    from flows.tables.trying import print_golden, print_tried
    from flows.trying.tried import golden as again
    from flows.trying.tried import try_item

    if (item is None) == (golden is None):
        raise ConfigError("give --item ITEM, to try one, or --golden N, to make N stored ones again")
    wanted = load(config, None, root, settings)
    if golden is not None:
        compared = again(wanted, stage, golden, seed)
        print_json(compared) if as_json else print_golden(compared)
        raise typer.Exit(int(bool(compared["differ"])))
    tried = try_item(wanted, stage, item or "", out)
    print_json(tried) if as_json else print_tried(tried)
    raise typer.Exit(0 if tried["state"] == "done" else NOTHING_MADE)
