"""Licences of weights, as the model cards beside them state them in the form of the Hugging Face hub; and how they are shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from configs.plain_yaml import parse_yaml
from models.teachers import sees
from models.teachers.weights import HUB_ID, SHIPPED
from tasks.label.settings import Label
from tasks.stage.kind import Stage
from tasks.stage.made import Made
from tasks.stage.tables import Piece, Words

UNKNOWN = "unknown"
CARD = "README.md"


def stated_licence(place: str, revision: str | None = None) -> str:
    """What the model card of some weights says of their licence; ``unknown`` if there is no card, or it is silent.

    Parameters
    ----------
    place : str
        A folder or a file on the local disk, a hub id that lies in the local cache, or the name of
        a network that ships with panolabel.
    revision : str, optional
        Of the hub id.
    """
    local = SHIPPED.get(place) or Path(place).expanduser()
    if local.is_file():
        local = local.parent
    if local.is_dir():
        return _of_card(local / CARD)
    cached = try_to_load_from_cache(place, CARD, revision=revision) if HUB_ID.fullmatch(place) else None
    return _of_card(Path(cached)) if isinstance(cached, str) else UNKNOWN


def licence_of(settings: Label) -> str | None:
    """That of the weights of a teacher which sees a whole panorama; None of others, whose receipts say nothing of it."""
    own = settings.settings
    if sees(settings.kind) == "patches":
        return None
    return own.get("licence") or (stated_licence(str(own["model"]), own.get("revision")) if "model" in own else None)


def is_restricted(licence: str) -> bool:
    """Whether it may not be used commercially, or nobody says whether it may."""
    return licence == UNKNOWN or re.search(r"\bnc\b|non-?commercial", licence, re.IGNORECASE) is not None


def notes(stage: Stage) -> list[str]:
    """That the weights of a teacher which sees a whole panorama are not free for every use, where they are not."""
    licence = None if stage.settings.rotation else licence_of(stage.settings)
    if licence is None or not is_restricted(licence):
        return []
    return [f"{stage.key}: the licence of its weights is {licence}; labels made with them inherit that doubt"]


def shows(made: Made) -> list[Piece]:
    """The licence of a teacher's weights, where its receipts say it."""
    told = sorted({str(receipt.about["licence"]) for receipt in made.receipts if "licence" in receipt.about})
    return [Words("licence", f"Licence of the weights of {made.key}", "; ".join(told))] if told else []


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
