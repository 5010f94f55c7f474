"""``forget`` and ``remember``: labels of single panoramas go for good, and are allowed again."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.completion import complete_item
from flows.commands.options import ConfigFile, JsonOption, RootOption, SetOption, SourceOption, load, print_json

Items = Annotated[list[str], typer.Argument(help="Names of panoramas.", show_default=False, autocompletion=complete_item)]
Because = Annotated[str, typer.Option(help="Why, for the record.", show_default=False)]


def forget(
    config: ConfigFile,
    items: Items,
    because: Because,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove panoramas' labels of all fingerprints and from plain published versions; they are never labelled again.

    Exits with 1 if the history of an Icechunk repository holds them still.
    """
    from flows.stores.forgetting import forget as forget_items
    from flows.tables.life import print_forgotten

    found = forget_items(load(config, source, root, settings), items, because)
    (print_json if as_json else print_forgotten)(found)
    raise typer.Exit(int(bool(found["left"])))


def remember(
    config: ConfigFile,
    items: Items,
    because: Because,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift what was forgotten: the next run labels these panoramas again. That they were forgotten stays on record."""
    from flows.stores.forgetting import remember as remember_items

    lifted = remember_items(load(config, source, root, settings), items, because)
    if as_json:
        print_json(lifted)
    else:
        typer.echo(f"{len(lifted)} remembered, to be labelled by the next run: {', '.join(one['item'] for one in lifted)}")
