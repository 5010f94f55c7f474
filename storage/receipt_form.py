"""What a receipt on the store must look like to count as one: whoever can write to the store can write anything there."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from storage.names import unsafe_name


def _inside_its_folder(name: str) -> str:
    if problem := unsafe_name(name):
        raise ValueError(f"file name {name[:80]!r} {problem}")
    return name


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
STRICT = ConfigDict(strict=True)
"""Nothing is converted: the number 1 is no text, and true is no number. What a newer version tells beyond is passed over."""


@with_config(STRICT)
class _Row(TypedDict):
    item: str
    state: Literal["done", "quarantined"]
    reason: str
    figures: dict[str, Any]
    digest: NotRequired[str]
    given_up_at: NotRequired[str]
    key: NotRequired[str]


@with_config(STRICT)
class _Entry(TypedDict):
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@with_config(ConfigDict(strict=True, extra="allow"))
class _Made(TypedDict):
    """What plans and tables read; a stage may tell more."""

    run: str
    seconds: Seconds
    device: str
    versions: dict[str, str]


@with_config(STRICT)
class _OfRows(TypedDict):
    items: list[_Row]


@with_config(STRICT)
class _Receipt(_OfRows):
    """The fields of :class:`storage.receipts.Receipt` as JSON."""

    stage: str
    fingerprint: str
    block: str
    files: dict[Annotated[str, AfterValidator(_inside_its_folder)], _Entry]
    about: dict[str, Any]
    made: _Made


_RECEIPT, _ROWS = TypeAdapter(_Receipt), TypeAdapter(_OfRows)


def parse_receipt(raw: bytes) -> dict[str, Any]:
    """The fields of a receipt.

    Raises
    ------
    ValueError
        It is no JSON, is nested too deeply, lacks a field, holds a value of the wrong kind, or names a file outside its folder.
    """
    return dict(_RECEIPT.validate_json(raw))


def parse_rows(raw: bytes) -> list[dict[str, Any]]:
    """The rows of a receipt that was found to be sound, and nothing else of it."""
    return [dict(row) for row in _ROWS.validate_json(raw)["items"]]
