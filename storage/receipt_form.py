"""What a receipt on the store must look like to count as one: whoever can write to the store can write anything there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from storage.names import unsafe_name


def _inside_its_folder(name: str) -> str:
    if problem := unsafe_name(name):
        raise ValueError(f"file name {name[:80]!r} {problem}")
    return name


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Form(BaseModel):
    """Nothing is converted: the number 1 is no text, and true is no number. What a newer version tells beyond is passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Row(_Form):
    item: str
    state: Literal["done", "quarantined"]
    reason: str
    figures: dict[str, Any]
    digest: str = ""
    given_up_at: str = ""
    key: str = ""


class _Entry(_Form):
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Made(BaseModel):
    """What plans and tables read; a stage may tell more."""

    model_config = ConfigDict(strict=True, extra="allow")

    run: str
    seconds: Seconds
    device: str
    versions: dict[str, str]


class ReceiptForm(_Form):
    """The fields of :class:`storage.receipts.Receipt` as JSON."""

    stage: str
    fingerprint: str
    block: str
    items: list[_Row]
    files: dict[Annotated[str, AfterValidator(_inside_its_folder)], _Entry]
    about: dict[str, Any]
    made: _Made


def parse_receipt(raw: bytes) -> dict[str, Any]:
    """The fields of a receipt.

    Raises
    ------
    ValueError
        It is no JSON, is nested too deeply, lacks a field, holds a value of the wrong kind, or names a file outside its folder.
    """
    return ReceiptForm.model_validate_json(raw).model_dump()
