"""Whether what a captioner said is what was wanted: JSON of the schema, texts of the right lengths, no phrase that may not be."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from models.captioners.base import CaptionAnswer, Lengths

FENCED = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)
"""How models that were not made to answer with JSON alone write it."""


class Faulty(ValueError):
    """An answer is of no use; the message says why, in words that whoever gave it may be told."""


def schema_of(lengths: Lengths) -> dict[str, Any]:
    """The JSON schema of an object with a text under each name."""
    texts = {name: {"type": "string", "description": f"{least} to {most} words"} for name, (least, most) in lengths.items()}
    return {"type": "object", "properties": texts, "required": [*texts], "additionalProperties": False}


def texts_of(answer: CaptionAnswer, lengths: Lengths, forbidden: Sequence[str]) -> dict[str, str]:
    """The texts of an answer, one line each.

    Raises
    ------
    Faulty
        It is cut off, is no JSON of :func:`schema_of`, or a text is too short, too long, or holds what it may not.
    """
    if answer.finish == "length":
        raise Faulty("the answer was cut off before its end; use fewer words")
    texts = _parsed(answer.said, lengths)
    refuse_faulty(texts, lengths, forbidden)
    return texts


def refuse_faulty(texts: Mapping[str, str], lengths: Lengths, forbidden: Sequence[str] = ()) -> None:
    """Raise Faulty if a text is too short, too long, or holds what it may not."""
    for name, text in texts.items():
        _refuse(name, text, lengths[name], forbidden)


def _parsed(said: str, lengths: Lengths) -> dict[str, str]:
    fenced = FENCED.fullmatch(said)
    try:
        found = json.loads(fenced[1] if fenced else said)
    except (ValueError, RecursionError) as error:
        raise Faulty(f"the answer is no JSON ({error if isinstance(error, ValueError) else 'nested too deeply'})") from error
    if not isinstance(found, Mapping) or set(found) != set(lengths):
        got = ", ".join(sorted(map(str, found))) if isinstance(found, Mapping) else type(found).__name__
        raise Faulty(f"the answer must be one JSON object with {', '.join(lengths)}, and has {got[:200] or 'nothing'}")
    if wrong := [name for name in lengths if not isinstance(found[name], str)]:
        raise Faulty(f"{wrong[0]}: must be a text")
    return {name: " ".join(found[name].split()) for name in lengths}


def _refuse(name: str, text: str, words: tuple[int, int], forbidden: Sequence[str]) -> None:
    """Raise Faulty if a text is not as it shall be."""
    count = len(text.split())
    if not words[0] <= count <= words[1]:
        raise Faulty(f"{name}: has {count} words, and must have {words[0]} to {words[1]}")
    if phrase := next((one for one in forbidden if one in text.lower()), ""):
        raise Faulty(f"{name}: holds the phrase {phrase!r}, which it may not")
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in text):
        raise Faulty(f"{name}: holds control characters")
