"""Changes of stages that somebody vouched for: they cannot change what comes out, so what was made before holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from storage.urls import join, read_bytes, write_bytes

FOLDER = "accepted"


def write_accepted(root: str, stage: str, fingerprint: str, said: Mapping[str, Any]) -> None:
    """Note that blocks of a stage under ``said["before"]``, another fingerprint, are as those of ``fingerprint`` would be."""
    write_bytes(_url(root, stage, fingerprint), json.dumps(dict(said), indent=1, ensure_ascii=False).encode())


def read_accepted(root: str, stage: str, fingerprint: str) -> dict[str, Any] | None:
    """What was said of it; None if nobody vouched for it, or the note is damaged, which then counts for nothing."""
    try:
        said = json.loads(read_bytes(_url(root, stage, fingerprint)))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    wanted = ("before", "because", "by", "at")
    return said if isinstance(said, dict) and all(isinstance(said.get(key), str) for key in wanted) else None


def _url(root: str, stage: str, fingerprint: str) -> str:
    return join(root, FOLDER, stage, f"{fingerprint}.json")
