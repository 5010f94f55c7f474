"""Licences of weights, as the model cards beside them state them in the form of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from configs.plain_yaml import parse_yaml
from models.teachers.weights import DEMO, HUB_ID

UNKNOWN = "unknown"
CARD = "README.md"


def stated_licence(place: str, revision: str | None = None) -> str:
    """What the model card of some weights says of their licence; ``unknown`` if there is no card, or it is silent.

    Parameters
    ----------
    place : str
        A folder or a file on the local disk, a hub id that lies in the local cache, or ``demo``.
    revision : str, optional
        Of the hub id.
    """
    local = DEMO if place == "demo" else Path(place).expanduser()
    if local.is_file():
        local = local.parent
    if local.is_dir():
        return _of_card(local / CARD)
    cached = try_to_load_from_cache(place, CARD, revision=revision) if HUB_ID.fullmatch(place) else None
    return _of_card(Path(cached)) if isinstance(cached, str) else UNKNOWN


def _of_card(card: Path) -> str:
    try:
        begin, front, _ = card.read_text(encoding="utf-8").split("---\n", 2)
        data = parse_yaml(front.encode())
    except (OSError, ValueError):  # no card, no front matter, or one that is no YAML
        return UNKNOWN
    return _as_text(data) if not begin and isinstance(data, dict) else UNKNOWN


def _as_text(data: dict[str, Any]) -> str:
    """Identifiers as they stand; of ``other`` the name and where its text is."""
    stated = data.get("license") or UNKNOWN
    names = [str(one) for one in stated] if isinstance(stated, list) else [str(stated)]
    more = ", ".join(str(data[key]) for key in ("license_name", "license_link") if data.get(key))
    return ", ".join(names) + (f" ({more})" if more else "")
