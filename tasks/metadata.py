"""What lists and sidecars say of a capture, as JSON values; numbers that the project itself reads are numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from storage.credentials import mask_settings

NUMBERS = {"vertical_degrees": 180.0}
"""Keys that ingest reads -> their largest value; they must lie above 0."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
SHOWN = 60


class BadMetadata(ValueError):
    """What is said of a capture cannot be understood; the message says what was seen."""


def understand(said: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Metadata as JSON values, and what is wrong with them; empty if nothing is.

    Text is taken for a number under the keys of :data:`NUMBERS`. A value that is wrong stays as it is, so that the item is read
    again once it is mended.

    Raises
    ------
    BadMetadata
        A value has no form in JSON.
    """
    metadata = {key: _plain(key, value) for key, value in said.items()}
    problems = []
    for key in NUMBERS.keys() & metadata.keys():
        try:
            metadata[key] = _number(key, metadata[key])
        except BadMetadata as error:
            problems.append(str(error))
    return mask_settings(metadata), "; ".join(problems)


def text_of(name: str, value: Any) -> str:
    """An id or a split as text; empty if it is missing. A whole number stays one where a missing neighbour made it 5.0.

    Raises
    ------
    BadMetadata
        It is neither text nor a whole number.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise BadMetadata(f"{name} {_shown(value)} is neither text nor a whole number; write it as text")
    return str(value)


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
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=_known)
        text.encode()
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        why = "holds bytes" if isinstance(value, bytes) else str(error)[:100]
        raise BadMetadata(f"{key} {_shown(value)} has no form in JSON ({why}); correct it, or drop the column") from error


def _known(value: Any) -> Any:
    if isinstance(value, (date, time, timedelta)):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"a value of the kind {type(value).__name__}")


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
