"""Tables and words in a terminal: nothing is taken for markup, details are left to the page."""

import io

from rich.console import Console

from flows.tables.shown import print_places, print_sentences, print_tables, table_of
from tasks.stage.tables import Words
from tests.support.pieces import TABLE, pieces


def printed(function) -> str:  # type: ignore[no-untyped-def]
    console = Console(file=io.StringIO(), width=160)
    function(console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_table_is_printed_as_it_is() -> None:
    shown = printed(lambda console: print_tables(console, pieces()))
    for text in ("[bold]no[/]", "<script>", "*second* line", "0.123", "25.0%", "–", "Ünïcödé 全景", "a | b <i>"):
        assert text in shown
    assert "\x1b[31m" not in shown
    assert "Detail" not in shown
    assert shown.count("panorama") == 400, "long text is folded, not cut"


def test_numbers_stand_at_the_right_and_words_at_the_left() -> None:
    assert [column.justify for column in table_of(TABLE).columns] == ["left", "right", "right", "right"]


def test_words_are_a_line_each_and_short_titles_are_filled_up() -> None:
    shown = printed(lambda console: print_places(console, pieces()))
    assert "Place <script>" in shown
    assert "in detail" not in shown
    assert printed(lambda console: print_places(console, [Words("labels", "Labels", "here", link="x")])) == "Labels:  here\n"
    unseen = Words("n", "classes never seen", "a; b")
    assert printed(lambda console: print_sentences(console, [unseen])) == "classes never seen: a; b\n"
    assert printed(lambda console: print_places(console, [unseen])) == ""
