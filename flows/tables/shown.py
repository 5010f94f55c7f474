"""What stages show, for a terminal: tables and words that are no details. Pictures are left to the page."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from tasks.stage.tables import Piece, Table, Words

TITLE = 8
"""Characters that the shortest titles of words are filled up to."""


def print_tables(console: Console, pieces: Iterable[Piece]) -> None:
    """The tables that have rows."""
    for piece in pieces:
        if isinstance(piece, Table) and not piece.detail and piece.rows:
            console.print(table_of(piece))


def print_sentences(console: Console, pieces: Iterable[Piece]) -> None:
    """A line for each of the words that lead nowhere."""
    _print_words(console, [piece for piece in pieces if isinstance(piece, Words) and not piece.link])


def print_places(console: Console, pieces: Iterable[Piece]) -> None:
    """A line for each of the words that say where something lies."""
    _print_words(console, [piece for piece in pieces if isinstance(piece, Words) and piece.link])


def _print_words(console: Console, words: Iterable[Words]) -> None:
    for piece in words:
        if not piece.detail:
            console.print(f"{_plain(piece.title + ':'):{TITLE}} {_plain(piece.text)}", soft_wrap=True)


def table_of(table: Table) -> RichTable:
    """A table with its words at the left and its numbers at the right."""
    shown = RichTable(title=_plain(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in table.columns:
        shown.add_column(_plain(column.name), justify="left" if column.text else "right", overflow="fold")
    for row in table.told():
        shown.add_row(*map(_plain, row))
    return shown


def _plain(text: str) -> str:
    """Text that neither rich nor the terminal takes for a command."""
    return escape("".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text))
