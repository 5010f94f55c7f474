"""What a captioner may say."""

from __future__ import annotations

import json

import jsonschema
import pytest

from models.captioners.base import CaptionAnswer
from tasks.caption.checked import Faulty, schema_of, texts_of

LENGTHS = {"short": (2, 4), "long": (3, 6)}
GOOD = {"short": "a red room", "long": "a red room with chairs"}


def said(**changes: object) -> str:
    return json.dumps({**GOOD, **changes})


def test_good_answers_are_taken_as_texts_of_one_line() -> None:
    assert texts_of(CaptionAnswer(said()), LENGTHS, ()) == GOOD
    loose = said(short=" a  red\nroom ")
    assert texts_of(CaptionAnswer(f"```json\n{loose}\n```"), LENGTHS, ()) == GOOD
    jsonschema.validate(GOOD, schema_of(LENGTHS))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD, "more": "x"}, schema_of(LENGTHS))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (said()[:-9], "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "has list"),
        ("{}", "has nothing"),
        (said(extra="x"), "has extra, long, short"),
        (said(short=3), "short: must be a text"),
        (said(short="room"), "short: has 1 words, and must have 2 to 4"),
        (said(long="a b c d e f g"), "long: has 7 words"),
        (said(short="As an AI model"), "the phrase 'as an ai'"),
        (said(short="a red\u202e room"), "control characters"),
    ],
)
def test_faulty_answers_are_told(text: str, fault: str) -> None:
    with pytest.raises(Faulty, match=fault.replace("[", r"\[")):
        texts_of(CaptionAnswer(text), LENGTHS, ("as an ai",))


def test_an_answer_that_was_cut_off_is_faulty_whatever_it_holds() -> None:
    with pytest.raises(Faulty, match="cut off"):
        texts_of(CaptionAnswer(said(), finish="length"), LENGTHS, ())
