"""Tables keep their form, numbers are written as their column says, and a record gives back what it was given."""

import json

import pytest

from tasks.pages.shown import inline
from tasks.stage.job import BadItem
from tasks.stage.tables import Column, Picture, Table, Words, as_json, from_json, interval, pictures, told
from tests.support.pieces import ROWS, TABLE, WORDS


def test_values_are_written_as_their_column_says_and_what_is_no_number_is_a_dash() -> None:
    assert [row[1] for row in TABLE.told()] == ["0.123", "–", "–", "-1.000", "1000000000.000"]
    assert [row[2] for row in TABLE.told()] == ["25.0%", "–", "inf%", "700.0%", "-50.0%"]
    assert (told("x", ".3f"), told(3), told(12345, ",d")) == ("x", "3", "12,345")
    assert (interval(0.1, 0.25), interval(None, None), interval(0.1, None)) == ("0.100 – 0.250", "–", "0.100 – –")


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="table t: a row of 1 values below 2 columns"):
        Table("t", "T", (Column("a"), Column("b")), (("x",),))


def test_a_record_keeps_tables_and_words() -> None:
    assert from_json(json.loads(json.dumps(as_json(WORDS)))) == WORDS
    text = json.dumps(as_json(TABLE), allow_nan=False)
    again = from_json(json.loads(text))
    assert isinstance(again, Table)
    assert (again.columns, again.title, again.note) == (TABLE.columns, TABLE.title, TABLE.note)
    assert again.rows[0] == ROWS[0]
    assert again.rows[2] == ("no number", None, None, "")
    assert isinstance(from_json(as_json(Words("n", "t", "x"))), Words)


def test_pictures_are_drawn_when_they_are_shown_and_once() -> None:
    calls: list[int] = []
    found = pictures("p", "P", lambda: calls.append(1) or [])  # type: ignore[func-returns-value]
    assert calls == []
    assert [found.draw(), found.draw()] == [[], []]
    assert calls == [1]


def test_a_panorama_that_is_gone_leaves_its_reason_in_the_place_of_its_pictures() -> None:
    def draw() -> list[Picture]:
        raise BadItem("p00.png: the file is gone")

    (picture,) = pictures("preview", "p00", draw).draw()
    assert picture.caption == "no picture: p00.png: the file is gone"
    assert str(inline(picture)).startswith("<svg ")
