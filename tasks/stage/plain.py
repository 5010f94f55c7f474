"""What a kind of stage does where it says nothing else, and how the functions that it names are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from storage.receipts import Receipt

Found = Callable[[Any, str], Receipt | None]
"""The receipt of a stage's block, by the block's name; None if there is none yet."""
PANORAMAS = "panoramas"
"""What a stage gives that others may be over."""


def named_function(reference: str) -> Callable[..., Any]:
    """The function that ``module:function`` names, imported now."""
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def all_settings(settings: Any, _inputs: Any) -> Mapping[str, Any]:
    """All of them enter the fingerprint."""
    return dict(settings.fingerprinted())


def all_facts(_settings: Any, _inputs: Any) -> tuple[str, ...]:
    """Name and metadata of an item may be read."""
    return ("name", "metadata")


def reads_panoramas(_settings: Any, inputs: Mapping[str, Sequence[Any]]) -> bool:
    """Whoever reads a stage that gives panoramas opens their files."""
    kinds = [getattr(one, "kind", None) for found in inputs.values() for one in found]  # a model from outside has none
    return any(kind is not None and kind.gives == PANORAMAS for kind in kinds)


def no_weights(_settings: Any, _inputs: Any) -> Mapping[str, str]:
    """There are none."""
    return {}


def plainest(_inputs: Any) -> int:
    """An item takes what it takes in the kind's plainest form."""
    return 1


def like_none(_settings: Any, _key: str) -> str:
    """No other stage does the same work."""
    return ""


def always(_panoramas: Any) -> bool:
    """Whatever gave the panoramas."""
    return True
