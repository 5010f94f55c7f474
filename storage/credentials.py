"""Credentials in URLs and settings, and how they stay out of what is stored, logged or shown."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer

HIDDEN = "***"
MARKS = ("@", "=")
"""A text with none of these holds no credentials."""

_NAME = r"token|signature|secret|passw(?:or)?d|credentials?|api[-_]?key|access[-_]?key(?:[-_]?id)?"
_USER = re.compile(r"(://)(?:[^/\s@:?#]*:[^/\s@]+|(?<=http://)[^/\s@?#]+|(?<=https://)[^/\s@?#]+)@")
"""``user:password@`` anywhere; over HTTP a bare ``token@`` too (elsewhere it is no secret: ``abfs://container@account``)."""
_QUERY = re.compile(rf"([?&;](?:[\w.%-]*(?:{_NAME})|sig|key|auth)=)[^&;\s'\"<>#)\]]+", re.IGNORECASE)
_KEY = re.compile(rf"(?:.*[-_.])?(?:{_NAME}|secret[-_]key|pwd)", re.IGNORECASE)


def mask_credentials(text: str) -> str:
    """Text with the passwords, tokens and signatures of its URLs replaced by ``***``; any other text as it is."""
    if not any(mark in text for mark in MARKS):  # most texts, and there may be millions
        return text
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def mask_settings(value: Any) -> Any:
    """JSON values in which URLs are masked, and so is the text under every key that is named like a secret."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if isinstance(inner, str) and inner and _KEY.fullmatch(str(key)) else mask_settings(inner)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [mask_settings(inner) for inner in value]
    return mask_credentials(value) if isinstance(value, str) else value


def _refuse_empty(url: str) -> str:
    """Nothing, which a shell makes of a variable that is not set, would be the folder in which one happens to be."""
    if not url.strip():
        raise ValueError("is empty; name a folder, a file or a URL (`.` is the folder that you are in)")
    return url


MaskedUrl = Annotated[str, AfterValidator(_refuse_empty), PlainSerializer(mask_credentials, return_type=str)]
"""A URL in a model: in full within the program, masked wherever the model is written down."""
