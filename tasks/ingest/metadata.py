"""What lists and sidecars say of a capture, as JSON values; numbers that the project itself reads are numbers."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from storage.credentials import mask_settings

NUMBERS = {"vertical_degrees": 180.0}
"""Keys that ingest reads -> their largest value; they must lie above 0."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
SHOWN = 60


class BadMetadata(ValueError):
    """What is said of a capture cannot be understood; the message says what was seen."""


class Understood(NamedTuple):
    """What is said of a capture: as JSON values and a split, why the item cannot be read, and why which keys are left out."""

    metadata: dict[str, Any]
    split: str
    problem: str
    left_out: dict[str, str]


class Twice:
    """Stands for the value of a key that an object has twice: nobody knows which of the two is meant."""


def one_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of its keys and values (an ``object_pairs_hook``); :class:`Twice` under a key that comes twice."""
    times = Counter(key for key, _ in pairs)
    return {key: Twice() if times[key] > 1 else value for key, value in pairs}


def is_missing(value: Any) -> bool:
    """Whether a value says nothing: null, NaN or blank text, which are one in tables, JSON and data frames."""
    if isinstance(value, (float, Decimal)):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def understand(said: Mapping[str, Any]) -> Understood:
    """Metadata as JSON values, and what is wrong with them; what is missing is not there.

    Text is taken for a number under the keys of :data:`NUMBERS`. One that is wrong is a problem of the item and stays as it is,
    so that the item is read again once it is mended. Another value that cannot be understood costs its key alone.
    """
    metadata: dict[str, Any] = {}
    problems: list[str] = []
    left_out: dict[str, str] = {}
    split = ""
    for key, value in said.items():
        if is_missing(value):
            continue
        try:
            if key == "split":
                split = text_of(key, value)
                continue
            metadata[key] = _plain(key, value)
            if key in NUMBERS:
                metadata[key] = _number(key, metadata[key])
        except BadMetadata as error:
            if key in NUMBERS:
                metadata.setdefault(key, _shown(value))
                problems.append(str(error))
            else:
                left_out[key] = str(error)
    return Understood(mask_settings(metadata), split, "; ".join(problems), left_out)


def text_of(name: str, value: Any) -> str:
    """An id or a split as text without blanks around it; empty if it is missing.

    A whole number stays one where a missing neighbour made it 5.0.

    Raises
    ------
    BadMetadata
        It is neither text nor a whole number.
    """
    if is_missing(value):
        return ""
    _refuse_twice(name, value)
    if isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise BadMetadata(f"{name} {_shown(value)} is neither text nor a whole number; write it as text")
    return str(value).strip()


def _refuse_twice(key: str, value: Any) -> None:
    if isinstance(value, Twice):
        raise BadMetadata(f"{key} is there twice; remove one")


def _number(key: str, value: Any) -> float:
    most, seen = NUMBERS[key], _shown(value)
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            hint = "write a decimal point" if re.fullmatch(r"\d+,\d+", text) else "write a number alone, without a unit"
            raise BadMetadata(f"{key} {seen} is not a number; {hint}, or leave it empty")
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadMetadata(f"{key} {seen} is not a number; write a number, or leave it out")
    if not 0 < value <= most:
        raise BadMetadata(f"{key} {seen} must lie above 0 and be at most {most:g}; correct it, or leave it out")
    return float(value)


def _plain(key: str, value: Any) -> Any:
    """A value as JSON has it: dates as text, decimals as numbers."""
    _refuse_twice(key, value)
    try:
        text = json.dumps({key: value}, allow_nan=False, ensure_ascii=False, default=_known)
        text.encode()
        return json.loads(text)[key]
    except (ValueError, TypeError, RecursionError) as error:
        why = "holds bytes" if isinstance(value, bytes) else str(error)[:100]
        raise BadMetadata(f"{key} {_shown(value)} has no form in JSON ({why}); correct it, or leave it out") from error


def _known(value: Any) -> Any:
    if isinstance(value, (date, time, timedelta)):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Twice):
        raise TypeError("it has a key twice")
    raise TypeError(f"a value of the kind {type(value).__name__}")


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
